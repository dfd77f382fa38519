/*-------------------------------------------------------------------------
 *
 * soft_input.c
 *		Input functions that answer instead of raising; see soft_input.h.
 *
 * They call what the input functions of the types call, so that both read
 * alike.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "db/soft_input.h"

bool
ln_soft_integer(const char *text, int *result)
{
	char	   *end;
	long		value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || errno != 0 || value < INT_MIN || value > INT_MAX)
		return false;
	while (isspace((unsigned char) *end))
		end++;
	*result = (int) value;
	return *end == '\0';
}

bool
ln_soft_interval(const char *text, int64 *result)
{
	char		work[256];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf;
	int			dtype;
	int			failure;
	struct pg_itm_in itm;
	double		us;

	memset(&itm, 0, sizeof(itm));
	failure = ParseDateTime(text, work, sizeof(work), field, ftype,
							MAXDATEFIELDS, &nf);
	if (failure == 0)
		failure = DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, &dtype,
								 &itm);
	if (failure == DTERR_BAD_FORMAT)
		failure =
			DecodeISO8601Interval(unconstify(char *, text), &dtype, &itm);
	if (failure != 0 ||
		dtype != DTK_DELTA)
		return false;
	us = (double) itm.tm_usec +
		((double) itm.tm_mday +
		 DAYS_PER_MONTH *
		 (MONTHS_PER_YEAR * (double) itm.tm_year + itm.tm_mon)) *
		USECS_PER_DAY;
	if (us < (double) PG_INT64_MIN || us >= (double) PG_INT64_MAX)
		return false;
	*result = (int64) us;
	return true;
}

bool
ln_soft_timestamptz(const char *text, TimestampTz *result)
{
	char		work[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf;
	int			dtype;
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;

	if (ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS,
					  &nf) != 0 ||
		LnDecodeDateTime(field, ftype, nf, &dtype, &tm, &fsec, &tz) != 0)
		return false;
	switch (dtype)
	{
		case DTK_DATE:
			return tm2timestamp(&tm, fsec, &tz, result) == 0;
		case DTK_EPOCH:
			*result = SetEpochTimestamp();
			return true;
		case DTK_LATE:
			*result = DT_NOEND;
			return true;
		case DTK_EARLY:
			*result = DT_NOBEGIN;
			return true;
	}
	return false;
}
