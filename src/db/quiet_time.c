/*-------------------------------------------------------------------------
 *
 * quiet_time.c
 *		Quiet hours in the server's time and time zones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/name.h"
#include "db/quiet_time.h"

PG_FUNCTION_INFO_V1(line_notify_quiet_until);
PG_FUNCTION_INFO_V1(line_notify_spread_due);

static int
utc_offset(int64_t at, void *zone)
{
	pg_time_t	t = (pg_time_t) at;
	struct pg_tm *tm = pg_localtime(&t, (pg_tz *) zone);

	return tm != NULL ? (int) tm->tm_gmtoff : 0;
}

TimestampTz
ln_quiet_time_until(const LnQuiet *quiet, pg_tz *zone, TimestampTz at)
{
	int64		end =
	ln_quiet_until(quiet, timestamptz_to_time_t(at), utc_offset, zone);

	return end == 0 ? 0 : time_t_to_timestamptz((pg_time_t) end);
}

TimestampTz
ln_spread_due(const char *quiet_hours, const char *time_zone,
			  TimestampTz since, double spread_us, TimestampTz expires_at)
{
	int64		us =
	(int64) (spread_us * pg_prng_double(&pg_global_prng_state));
	pg_tz	   *zone = quiet_hours != NULL ? pg_tzset(time_zone) : NULL;
	LnQuiet		quiet;
	pg_time_t	at;
	TimestampTz due;
	TimestampTz end;

	if (zone == NULL || spread_us <= 0 || !ln_quiet_parse(quiet_hours, &quiet))
		return since + us;
	at = ln_quiet_pass(&quiet, timestamptz_to_time_t(since),
					   us / USECS_PER_SEC, utc_offset, zone);
	due = time_t_to_timestamptz(at) + us % USECS_PER_SEC;
	if (due < expires_at)
		return Max(due, since);

	/* no time for all of it: what is left after the quiet hours */
	end = ln_quiet_time_until(&quiet, zone, since + us);
	if (end != 0 && end < expires_at)
		return end + (int64) ((expires_at - end) *
							  pg_prng_double(&pg_global_prng_state));
	return since + us;
}

/* _quiet_until(quiet_hours text, time_zone text, at timestamptz) */
Datum
line_notify_quiet_until(PG_FUNCTION_ARGS)
{
	char	   *hours = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(2);
	pg_tz	   *zone = pg_tzset(name);
	LnQuiet		quiet;
	TimestampTz until;

	if (!ln_quiet_parse(hours, &quiet))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid quiet hours: \"%s\"", ln_shown(hours)),
				 errhint("Write them as HH:MM-HH:MM, for example 21:00-08:00.")));
	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized",
						ln_shown(name))));
	if (TIMESTAMP_NOT_FINITE(at) ||
		(until = ln_quiet_time_until(&quiet, zone, at)) == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(until);
}

/*
 * _spread_due(quiet_hours text, time_zone text, since timestamptz, spread
 * interval, expires_at timestamptz); quiet_hours may be NULL, since is finite
 */
Datum
line_notify_spread_due(PG_FUNCTION_ARGS)
{
	const char *quiet_hours = NULL;
	Interval   *spread;

	for (int i = 1; i < 5; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	if (!PG_ARGISNULL(0))
		quiet_hours = text_to_cstring(PG_GETARG_TEXT_PP(0));
	spread = PG_GETARG_INTERVAL_P(3);
	PG_RETURN_TIMESTAMPTZ(ln_spread_due(quiet_hours,
										text_to_cstring(PG_GETARG_TEXT_PP(1)),
										PG_GETARG_TIMESTAMPTZ(2),
										ln_interval_us(spread),
										PG_GETARG_TIMESTAMPTZ(4)));
}
