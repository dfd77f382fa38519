/*-------------------------------------------------------------------------
 *
 * secret.h
 *		The text of a secret: inline, or the first line of a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SECRET_H
#define LN_SECRET_H

/*
 * The value itself; of file:/path, the first line of that file, or all of it
 * when it is a PEM key.  palloc'd, for the caller to wipe; NULL with a
 * sentence in err.
 */
extern char *ln_secret_read(const char *value, char *err, size_t errlen);

#endif							/* LN_SECRET_H */
