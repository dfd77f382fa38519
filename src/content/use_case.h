/*-------------------------------------------------------------------------
 *
 * use_case.h
 *		The purposes (利用用途) for which LINE accepts notification messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_USE_CASE_H
#define LN_USE_CASE_H

/*
 * Turns what people write (key, number, Japanese or English name; in the
 * encoding of the database) into a value of the enum type.  When the text is
 * unknown or fits several: InvalidOid if missing_ok, else raises 22023 with
 * the nearest candidates.
 */
extern Oid	ln_use_case_parse(const char *str, int len, Oid enum_type,
							  bool missing_ok);

/* the key of an enum value, allocated in the current context */
extern char *ln_use_case_key(Oid use_case);

#endif							/* LN_USE_CASE_H */
