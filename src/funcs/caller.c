/*-------------------------------------------------------------------------
 *
 * caller.c
 *		Functions that work with their owner's rights and know who called.
 *
 * Inside of a SECURITY DEFINER function the current user is the owner, and
 * nothing in PostgreSQL tells who that was a moment before.  The outer user is
 * not the answer: in a trigger under a foreign key's ON DELETE CASCADE, or in
 * the SECURITY DEFINER function of another role, it is whoever gave the
 * command, who may be a superuser and knows nothing of what is called there.
 *
 * So what asks who asks is written in a language of ours.  It is PL/pgSQL, but
 * its handler notes the current user, becomes the owner of the function, and
 * leaves the rest to PL/pgSQL.  A pair of functions for each, one that looks
 * and one that works, would need the second protected from whoever was given
 * ALL FUNCTIONS IN SCHEMA; here there is no second.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(line_notify_call_handler);
PG_FUNCTION_INFO_V1(line_notify_caller);
PG_FUNCTION_INFO_V1(line_notify_caller_is_superuser);
PG_FUNCTION_INFO_V1(line_notify_log_search);

/* Who called the function of ours that runs; invalid = none runs. */
static Oid	caller = InvalidOid;

static Oid
function_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Handler of language line_notify_plpgsql.
 *
 * What our functions call with the rights of their owner is still for the one
 * who called the first: the owner could do all of it without us.  As in a
 * SECURITY DEFINER function, an error leaves it to the (sub)transaction to
 * restore the current user.
 */
Datum
line_notify_call_handler(PG_FUNCTION_ARGS)
{
	static PGFunction plpgsql = NULL;
	Oid			owner = function_owner(fcinfo->flinfo->fn_oid);
	Oid			save_caller = caller;
	Oid			save_user;
	int			save_sec;
	Datum		result;

	if (plpgsql == NULL)
		plpgsql = load_external_function("$libdir/plpgsql",
										 "plpgsql_call_handler", true, NULL);
	GetUserIdAndSecContext(&save_user, &save_sec);
	PG_TRY();
	{
		if (!OidIsValid(caller) || save_user != owner)
			caller = save_user;
		SetUserIdAndSecContext(owner,
							   save_sec | SECURITY_LOCAL_USERID_CHANGE);
		result = plpgsql(fcinfo);
		SetUserIdAndSecContext(save_user, save_sec);
	}
	PG_FINALLY();
	{
		caller = save_caller;
	}
	PG_END_TRY();
	return result;
}

/*
 * Raises an error outside of our language, where nobody noted it: an answer
 * would be that of the owner.
 */
static Oid
the_caller(void)
{
	if (!OidIsValid(caller))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no function in language \"line_notify_plpgsql\" is running")));
	return caller;
}

/* _caller() name: in memory of the current context */
Datum
line_notify_caller(PG_FUNCTION_ARGS)
{
	Name		name = palloc0(sizeof(NameData));

	namestrcpy(name, GetUserNameFromId(the_caller(), false));
	PG_RETURN_NAME(name);
}

/* _caller_is_superuser() boolean */
Datum
line_notify_caller_is_superuser(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(superuser_arg(the_caller()));
}

/*
 * _log_search(called text, what text): what a rollback cannot take back.  The
 * statement stays away, since it has the number; pg_stat_activity would show
 * it to whoever monitors, until the next statement of the session.
 */
Datum
line_notify_log_search(PG_FUNCTION_ARGS)
{
	char	   *called = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *what = text_to_cstring(PG_GETARG_TEXT_PP(1));

	ereport(LOG_SERVER_ONLY,
			(errmsg("role \"%s\", session user \"%s\", calls line_notify.%s() with %s",
					GetUserNameFromId(the_caller(), false),
					GetUserNameFromId(GetSessionUserId(), false), called,
					what),
			 errhidestmt(true), errhidecontext(true)));
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("line_notify.%s(...)", called));
	PG_RETURN_VOID();
}
