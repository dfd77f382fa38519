#ifndef LN_PHONE_FUNCS_H
#define LN_PHONE_FUNCS_H
#include "phone.h"
extern bool ln_phone_from_datum(Datum phone_text, int region_id, LnPhoneMode mode, LnPhone *out);
#endif
