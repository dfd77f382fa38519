#include "postgres.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "crypto.h"
#include "phone_funcs.h"
PG_FUNCTION_INFO_V1(line_notify_normalize_phone);
bool
ln_phone_from_datum(Datum phone_text, int region_id, LnPhoneMode mode, LnPhone *out)
{
	text	   *t = DatumGetTextPP(phone_text);
	return ln_phone_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), region_id, mode, out);
}
Datum
line_notify_normalize_phone(PG_FUNCTION_ARGS)
{
	LnPhone p;
	char *r = PG_ARGISNULL(1) ? "JP" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (PG_ARGISNULL(0)) PG_RETURN_NULL();
	if (ln_phone_region_id(r, strlen(r)) < 0) elog(ERROR, "unknown region");
	if (!ln_phone_from_datum(PG_GETARG_DATUM(0), ln_phone_region_id(r, strlen(r)), LN_PHONE_LIBPHONENUMBER, &p)) PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(p.e164));
}
