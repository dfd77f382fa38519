/*-------------------------------------------------------------------------
 *
 * outbox_channel.c
 *		Channels, as the tables have them: settings, credentials, pauses.
 *
 * Also who may send through which, and what else a process learns of its
 * database when it begins: the version of the extension and its home.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "db/channel_settings.h"
#include "db/outbox.h"
#include "db/sql.h"

char *
ln_outbox_extension_version(void)
{
	static LnStatement st = {
		.name = "extension version",
		.sql =
		"SELECT e.extversion FROM pg_catalog.pg_extension e"
		" WHERE e.extname OPERATOR(pg_catalog.=) 'line_notify'",
		.nargs = 0
	};

	if (ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT) == 0)
		return NULL;
	return ln_sql_text(0, 1);
}

int64
ln_outbox_take_home(void)
{
	static LnStatement st = {
		.name = "take home",
		.sql =
		"SELECT line_notify._take_home()",
		.nargs = 0
	};

	(void) ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT);
	return ln_sql_int8(0, 1, 0);
}

/* Columns of a channel, as ln_outbox_load_channels() reads them, from 1 */
#define COLUMN(name, ...)	COL_##name,
enum
{
	COL_name = 1,
	COL_home,
	COL_paused,
	COL_pause_automatic,
	LN_CHANNEL_SETTINGS(COLUMN, COLUMN, COLUMN)
};
#undef COLUMN
#define COLUMN(name, ...)	", " #name

/* Is this what a column that is NOT NULL says? */
static bool
column_is(int row, int column, const char *value)
{
	return strcmp(ln_sql_text(row, column), value) == 0;
}

int
ln_outbox_load_channels(LnChannelRow **rows)
{
	static LnStatement st = {
		.name = "load channels",
		.sql =
		"SELECT name, home, paused_at IS NOT NULL, pause_automatic"
		LN_CHANNEL_SETTINGS(COLUMN, COLUMN, COLUMN)
		" FROM line_notify.channel ORDER BY name",
		.nargs = 0,
		.read_only = true
	};
	int			n;
	LnChannelRow *list;

	n = (int) ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(LnChannelRow) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		LnChannelRow *c = &list[i];

		c->name = ln_sql_text(i, COL_name);
		c->home = ln_sql_int8(i, COL_home, 0);
		c->api_base = ln_sql_text(i, COL_api_base);
		c->line_channel_id = ln_sql_text(i, COL_line_channel_id);
		c->region = ln_sql_text(i, COL_region);
		c->rate_limit = ln_sql_int4(i, COL_rate_limit, 2000);
		c->max_in_flight = ln_sql_int4(i, COL_max_in_flight, 1);
		c->default_ttl_us = ln_sql_interval_us(i, COL_default_ttl);
		c->on_invalid_error = column_is(i, COL_on_invalid, "error");
		c->on_unknown =
			column_is(i, COL_on_unknown, "retry") ? LINE_RETRY : LINE_HOLD;
		c->on_server_error =
			column_is(i, COL_on_server_error, "retry") ? LINE_RETRY
			: LINE_HOLD;
		c->max_attempts = ln_sql_int4(i, COL_max_attempts, INT_MAX);
		c->backoff_base_ms = ln_sql_interval_us(i, COL_backoff_base) / 1000;
		c->backoff_cap_ms = ln_sql_interval_us(i, COL_backoff_cap) / 1000;
		c->connect_timeout_ms =
			(int) (ln_sql_interval_us(i, COL_connect_timeout) / 1000);
		c->total_timeout_ms =
			(int) (ln_sql_interval_us(i, COL_total_timeout) / 1000);
		c->use_case_required = ln_sql_bool(i, COL_use_case_required);
		c->proxy = ln_sql_text(i, COL_proxy);
		c->ca_file = ln_sql_text(i, COL_ca_file);
		c->paused = ln_sql_bool(i, COL_paused);
		c->paused_automatically =
			c->paused && ln_sql_bool(i, COL_pause_automatic);
		c->settle_window_us = ln_sql_interval_us(i, COL_settle_window);
		c->dedup_window_us = ln_sql_interval_us(i, COL_dedup_window);
		c->replace_duplicate = column_is(i, COL_on_duplicate, "replace");
		c->time_zone = ln_sql_text(i, COL_time_zone);
		c->quiet_hours = ln_sql_text(i, COL_quiet_hours);
		c->daily_budget = ln_sql_int4(i, COL_daily_budget, 0);
		c->only_recipients =
			ln_sql_text_list(i, COL_only_recipients, &c->nonly_recipients);
		c->catalogue_only = ln_sql_bool(i, COL_catalogue_only);
		c->refuse_unknown = column_is(i, COL_unknown_content, "refuse");
		if (c->only_recipients != NULL)
			qsort(c->only_recipients, c->nonly_recipients, sizeof(char *),
				  ln_outbox_compare_recipients);
	}
	*rows = list;
	return n;
}

void
ln_outbox_load_credentials(LnChannelRow *rows, int n)
{
	static LnStatement st = {
		.name = "load credentials",
		.sql =
		"SELECT k.channel, k.kind, k.value, k.key_id, k.flow, t.error"
		" FROM line_notify.credential k LEFT JOIN line_notify.token_status t"
		" ON t.channel = k.channel"
		" WHERE k.kind <> 'previous_channel_secret'"
		" OR k.set_at > now() - interval '" LN_PREVIOUS_SECRET "'",
		.nargs = 0
	};
	int			m;

	m = (int) ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT);
	for (int i = 0; i < m; i++)
	{
		char	   *channel = ln_sql_text(i, 1);
		char	   *kind = ln_sql_text(i, 2);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			if (strcmp(kind, "access_token") == 0 ||
				strcmp(kind, "client_secret") == 0 ||
				strcmp(kind, "jwt_key") == 0)
			{
				/* set_credential() keeps one of them */
				rows[j].credential = kind[0] == 'a' ? LN_CREDENTIAL_TOKEN :
					kind[0] == 'c' ? LN_CREDENTIAL_SECRET : LN_CREDENTIAL_JWT;
				rows[j].credential_value = ln_sql_text(i, 3);
				rows[j].credential_key_id = ln_sql_text(i, 4);
				rows[j].credential_v21 = ln_sql_text(i, 5) != NULL &&
					strcmp(ln_sql_text(i, 5), "v2.1") == 0;
				rows[j].token_error = ln_sql_text(i, 6);
			}
			else if (strcmp(kind, "channel_secret") == 0)
				rows[j].channel_secret = ln_sql_text(i, 3);
			else if (strcmp(kind, "previous_channel_secret") == 0)
				rows[j].previous_channel_secret = ln_sql_text(i, 3);
		}
	}
}

void
ln_outbox_load_flow(LnChannelRow *rows, int n)
{
	static LnStatement parts = {
		.name = "load flow: parts",
		.sql =
		"SELECT channel, scope, subject FROM line_notify.partial_pause",
		.nargs = 0
	};
	static LnStatement sent = {
		.name = "load flow: sent",
		.sql =
		"SELECT c.name, coalesce(d.sent, 0),"
		" ((clock_timestamp() AT TIME ZONE c.time_zone)::date + 1)::timestamp"
		" AT TIME ZONE c.time_zone"
		" FROM line_notify.channel c LEFT JOIN line_notify.daily_sent d"
		"  ON d.channel = c.name"
		" AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date",
		.nargs = 0
	};
	int			m;

	m = (int) ln_sql_run(&parts, NULL, NULL, SPI_OK_SELECT);
	for (int j = 0; j < n; j++)
	{
		rows[j].paused_subjects = palloc(sizeof(char *) * Max(m, 1));
		rows[j].paused_use_cases = palloc(sizeof(char *) * Max(m, 1));
		rows[j].npaused_subjects = 0;
		rows[j].npaused_use_cases = 0;
	}
	for (int i = 0; i < m; i++)
	{
		char	   *channel = ln_sql_text(i, 1);
		char	   *scope = ln_sql_text(i, 2);
		char	   *subject = ln_sql_text(i, 3);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			if (strcmp(scope, "endpoint") == 0)
				rows[j].endpoint_paused[strcmp(subject, "template") == 0
										? LINE_TEMPLATE
										: LINE_FLEXIBLE] = true;
			else if (strcmp(scope, "use_case") == 0)
				rows[j].paused_use_cases[rows[j].npaused_use_cases++] =
					pstrdup(subject);
			else
			{
				char	   *text = palloc(LN_SUBJECT_LEN);

				ln_outbox_subject(text,
								  strcmp(scope, "template") == 0
								  ? LINE_TEMPLATE
								  : LINE_FLEXIBLE,
								  subject);
				rows[j].paused_subjects[rows[j].npaused_subjects++] =
					pstrdup(text);
			}
		}
	}

	m = (int) ln_sql_run(&sent, NULL, NULL, SPI_OK_SELECT);
	for (int i = 0; i < m; i++)
	{
		char	   *channel = ln_sql_text(i, 1);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			rows[j].sent_today = ln_sql_int8(i, 2, 0);
			rows[j].day_ends = ln_sql_int8(i, 3, DT_NOEND);
		}
	}
}

void
ln_outbox_subject(char *buf, LineKind kind, const char *name)
{
	snprintf(buf, LN_SUBJECT_LEN, "%c%s", kind == LINE_TEMPLATE ? 't' : 'u',
			 name);
}

int
ln_outbox_compare_recipients(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

int
ln_outbox_load_senders(LnSenderRow **rows)
{
	static LnStatement st = {
		.name = "load senders",
		.sql =
		"SELECT role::pg_catalog.oid, channel FROM line_notify.sender",
		.nargs = 0,
		.read_only = true
	};
	int			n;
	LnSenderRow *list;

	n = (int) ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(LnSenderRow) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		list[i].role =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 1, &isnull));
		list[i].channel = ln_sql_text(i, 2);
	}
	*rows = list;
	return n;
}

void
ln_outbox_note_token(const char *channel, const char *error)
{
	static LnStatement note = {
		.name = "note token: note",
		.sql =
		"INSERT INTO line_notify.token_status (channel, error)"
		" SELECT c.name, $2 FROM line_notify.channel c WHERE c.name = $1"
		" ON CONFLICT (channel) DO UPDATE SET error = excluded.error",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	static LnStatement forget = {
		.name = "note token: forget",
		.sql =
		"DELETE FROM line_notify.token_status WHERE channel = $1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		args[] = {
		CStringGetTextDatum(channel), CStringGetTextDatum(error)
	};

	if (error[0] != '\0')
		(void) ln_sql_run(&note, args, NULL, SPI_OK_INSERT);
	else
		(void) ln_sql_run(&forget, args, NULL, SPI_OK_DELETE);
}

bool
ln_outbox_pause(const char *channel, const char *reason)
{
	static LnStatement st = {
		.name = "pause",
		.sql =
		"UPDATE line_notify.channel SET paused_at = clock_timestamp(),"
		" pause_reason = $2, pause_automatic = true"
		" WHERE name = $1 AND paused_at IS NULL",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		args[] = {
		CStringGetTextDatum(channel), CStringGetTextDatum(reason)
	};

	return ln_sql_run(&st, args, NULL, SPI_OK_UPDATE) > 0;
}

bool
ln_outbox_pause_part(const char *channel, const char *scope,
					 const char *subject, const char *reason)
{
	static LnStatement st = {
		.name = "pause part",
		.sql =
		"INSERT INTO line_notify.partial_pause (channel, scope, subject,"
		" reason)"
		" SELECT c.name, $2, $3, $4 FROM line_notify.channel c"
		" WHERE c.name = $1"
		" ON CONFLICT DO NOTHING",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[] = {
		CStringGetTextDatum(channel), CStringGetTextDatum(scope),
		CStringGetTextDatum(subject), CStringGetTextDatum(reason)
	};

	return ln_sql_run(&st, args, NULL, SPI_OK_INSERT) > 0;
}

bool
ln_outbox_resume(const char *channel)
{
	static LnStatement st = {
		.name = "resume",
		.sql =
		"UPDATE line_notify.channel SET paused_at = NULL, pause_reason = NULL,"
		" pause_automatic = false"
		" WHERE name = $1 AND pause_automatic",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(channel);

	return ln_sql_run(&st, &arg, NULL, SPI_OK_UPDATE) > 0;
}
