/*-------------------------------------------------------------------------
 *
 * policy.c
 *		What one message wants otherwise than its channel; see policy.h.
 *
 * One column, and not one for each policy: nearly every message has none, and
 * a NULL costs the claim nothing.
 *
 * The members are those settings of a channel that say what becomes of a
 * single message.  The others are about the stream (rates, quiet hours,
 * budgets): two channels with one line_channel_id have two sets of these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "db/policy.h"
#include "db/soft_input.h"
#include "line/line_api.h"

typedef enum MemberKind
{
	MEMBER_ATTEMPTS,
	MEMBER_MS,					/* interval, kept in milliseconds */
	MEMBER_US,					/* interval, kept in microseconds */
	MEMBER_WORD
} MemberKind;

/* ranges as the CHECKs of table channel have them */
static const struct
{
	const char *name;
	MemberKind	kind;
	int			offset;
	int64		min_us;
	int64		max_us;
	const char *words[2];
	const char *must;
}			members[] =

{
	{
		"max_attempts", MEMBER_ATTEMPTS, offsetof(LnPolicy, max_attempts), 0,
		0, {NULL},
		"a number from 1 to 10000, or 0 for no limit"
	},
	{
		"on_unknown", MEMBER_WORD, offsetof(LnPolicy, on_unknown), 0, 0,
		{"hold", "retry"},
		"hold or retry"
	},
	{
		"on_server_error", MEMBER_WORD, offsetof(LnPolicy, on_server_error), 0,
		0, {"hold", "retry"},
		"hold or retry"
	},
	{
		"on_invalid", MEMBER_WORD, offsetof(LnPolicy, on_invalid_error), 0, 0,
		{"park", "error"},
		"park or error"
	},
	{
		"backoff_base", MEMBER_MS, offsetof(LnPolicy, backoff_base_ms), 10000,
		USECS_PER_HOUR, {NULL},
		"an interval from 10 ms to 1 hour"
	},
	{
		"backoff_cap", MEMBER_MS, offsetof(LnPolicy, backoff_cap_ms), 10000,
		USECS_PER_DAY, {NULL},
		"an interval from 10 ms to 1 day"
	},
	{
		"settle_window", MEMBER_US, offsetof(LnPolicy, settle_window_us), 0,
		USECS_PER_DAY, {NULL},
		"an interval from 0 to 1 day"
	},
	{
		"dedup_window", MEMBER_US, offsetof(LnPolicy, dedup_window_us),
		USECS_PER_SEC, 3660 * USECS_PER_DAY, {NULL},
		"an interval from 1 second to 3660 days"
	}
};

StaticAssertDecl((int) LINE_HOLD == 0 && (int) LINE_RETRY == 1,
				 "words stand in the order of LineDisposition");

static bool read_member(int m, const JsonbValue *value, LnPolicy *p);

void
ln_policy_init(LnPolicy *p)
{
	p->max_attempts = p->on_unknown = p->on_server_error =
		p->on_invalid_error = LN_POLICY_CHANNEL;
	p->backoff_base_ms = p->backoff_cap_ms = LN_POLICY_CHANNEL;
	p->settle_window_us = p->dedup_window_us = LN_POLICY_CHANNEL;
}

bool
ln_policy_read(Jsonb *json, LnPolicy *p, const char **member,
			   const char **fault)
{
	JsonbIterator *it;
	JsonbValue	v;

	ln_policy_init(p);
	*member = "";
	*fault = "is no JSON object";
	if (!JB_ROOT_IS_OBJECT(json))
		return false;
	it = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&it, &v, true);
	while (JsonbIteratorNext(&it, &v, true) == WJB_KEY)
	{
		char	   *name = pnstrdup(v.val.string.val, v.val.string.len);
		int			m = 0;

		(void) JsonbIteratorNext(&it, &v, true);
		while (m < lengthof(members) && strcmp(members[m].name, name) != 0)
			m++;
		*member = name;
		*fault = "is no policy of a message";
		if (m == lengthof(members))
			return false;
		*fault = members[m].must;
		if (v.type != jbvNull && !read_member(m, &v, p))
			return false;
	}
	return true;
}

static bool
read_member(int m, const JsonbValue *value, LnPolicy *p)
{
	void	   *field = (char *) p + members[m].offset;
	char	   *text;
	int			n;
	int64		us;

	if (value->type == jbvString)
		text = pnstrdup(value->val.string.val, value->val.string.len);

	else if (value->type == jbvNumeric && members[m].kind == MEMBER_ATTEMPTS)
	{
		Datum		number = NumericGetDatum(value->val.numeric);

		text = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	}

	else
		return false;

	switch (members[m].kind)
	{
		case MEMBER_ATTEMPTS:
			if (!ln_soft_integer(text, &n) || n < 0 || n > 10000)
				return false;
			*(int *) field = n == 0 ? INT_MAX : n;
			return true;
		case MEMBER_MS:
		case MEMBER_US:
			if (!ln_soft_interval(text, &us) || us < members[m].min_us ||
				us > members[m].max_us)
				return false;
			*(int64 *) field = members[m].kind == MEMBER_MS ? us / 1000 : us;
			return true;
		case MEMBER_WORD:
			for (n = 0; n < 2; n++)
			{
				if (strcmp(text, members[m].words[n]) == 0)
				{
					*(int *) field = n;
					return true;
				}
			}
			return false;
	}
	return false;
}
