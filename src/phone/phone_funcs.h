/*-------------------------------------------------------------------------
 *
 * phone_funcs.h
 *		Phone numbers out of datums.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_PHONE_FUNCS_H
#define LN_PHONE_FUNCS_H

#include "phone/phone.h"

/*
 * Parses a text datum: detoasts no more than is looked at, converts it to
 * UTF-8 if the server speaks something else.  Never raises for a bad number,
 * whatever its bytes are.  Memory: the current context, little.
 */
extern bool ln_phone_from_datum(Datum phone_text, int region_id,
								LnPhoneMode mode, LnPhone *out);

/* Recipient of a valid number, as text: SHA-256 in hex of its E.164 form. */
extern Datum ln_phone_hash(const LnPhone *phone);

#endif							/* LN_PHONE_FUNCS_H */
