/*-------------------------------------------------------------------------
 *
 * encoding.h
 *		Between UTF-8, which LINE and our tables use, and the database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_ENCODING_H
#define LN_ENCODING_H

/*
 * NULL when the database cannot express the text.  The result is the argument
 * itself, or allocated in the current context.
 */
extern const char *ln_encoding_from_utf8(const char *utf8, int len,
										 int *outlen);
extern const char *ln_encoding_to_utf8(const char *str, int len, int *outlen);

/* text datum of a UTF-8 constant; raises 22P05 when it cannot be expressed */
extern struct varlena *ln_encoding_text_from_utf8(const char *utf8, int len);

#endif							/* LN_ENCODING_H */
