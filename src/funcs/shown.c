/*-------------------------------------------------------------------------
 *
 * shown.c
 *		What callers send, in messages of our SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/name.h"

PG_FUNCTION_INFO_V1(line_notify_shown);

/* _shown(text): the text, if it looks like a name, or "..." */
Datum
line_notify_shown(PG_FUNCTION_ARGS)
{
	char	   *sent = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(ln_shown(sent)));
}
