/*-------------------------------------------------------------------------
 *
 * states.c
 *		What each state of a message means, for view states.
 *
 * Here and not in the script, because Japanese text in an extension script
 * could not be loaded into every server encoding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(line_notify_states);

typedef struct StateRow
{
	const char *state;
	bool		terminal;
	const char *billed;
	const char *en;
	const char *ja;
} StateRow;

#include "funcs/states_data.h"

Datum
line_notify_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(states); i++)
	{
		const StateRow *s = &states[i];
		Datum		values[5];
		bool		nulls[5] = {false, false, false, false, false};

		values[0] = CStringGetTextDatum(s->state);
		values[1] = BoolGetDatum(s->terminal);
		values[2] = CStringGetTextDatum(s->billed);
		values[3] = CStringGetTextDatum(s->en);
		values[4] = CStringGetTextDatum(pg_any_to_server(s->ja, strlen(s->ja),
														 PG_UTF8));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}
