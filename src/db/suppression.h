/*-------------------------------------------------------------------------
 *
 * suppression.h
 *		Who objected to being sent notices.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SUPPRESSION_H
#define LN_SUPPRESSION_H

/*
 * Is this hash in table suppression, as of now?  The caller's rights do not
 * matter.  Raises on any database error.
 */
extern bool ln_is_suppressed(Oid table, Oid index, const char *recipient);

#endif							/* LN_SUPPRESSION_H */
