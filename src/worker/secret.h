/*-------------------------------------------------------------------------
 *
 * secret.h
 *		The text of a secret: inline, or the first line of a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SECRET_H
#define LN_SECRET_H

#include <sys/stat.h>

/*
 * Open a regular file, which never hangs; to be closed as a transient file.
 * -1 = no, with errno, which is 0 for what is not a regular file.
 */
extern int	ln_secret_open(const char *path, struct stat *st);

/*
 * The value itself; of file:/path, the first line of that file, or all of it
 * when it is a PEM key.  palloc'd, for the caller to wipe; NULL with a
 * sentence in err.
 */
extern char *ln_secret_read(const char *value, char *err, size_t errlen);

/* The same of an access token, which has to fit into a header. */
extern char *ln_secret_read_token(const char *value, char *err, size_t errlen);

#endif							/* LN_SECRET_H */
