/*-------------------------------------------------------------------------
 *
 * channel.c
 *		Channels as the sender sees them, and where their access tokens come
 *		from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "db/quiet_time.h"
#include "server/shmem.h"
#include "worker/channel.h"
#include "worker/token.h"

static void take_row(LnChannel *c, const LnChannelRow *row);

int
ln_channel_load(LnChannel ***list, int n, MemoryContext context,
				void (*freed) (LnChannel *c))
{
	LnChannelRow *rows;
	int			nrows = ln_outbox_load_channels(&rows);
	LnChannel **channels;
	const char **names;
	int			nnames = 0;

	ln_outbox_load_credentials(rows, nrows);
	ln_outbox_load_flow(rows, nrows);

	/* first, so that new channels find the places of those that have gone */
	names = palloc(sizeof(char *) * (n + nrows + 1));
	for (int j = 0; j < nrows; j++)
		names[nnames++] = rows[j].name;
	for (int i = 0; i < n; i++)
		if ((*list)[i]->in_flight > 0)
			names[nnames++] = (*list)[i]->row.name;
	ln_shmem_stats_keep(MyDatabaseId, names, nnames);

	channels =
		MemoryContextAlloc(context, sizeof(LnChannel *) * (n + nrows + 1));
	if (n > 0)
		memcpy(channels, *list, sizeof(LnChannel *) * n);
	for (int i = 0; i < n; i++)
		channels[i]->gone = true;
	for (int j = 0; j < nrows; j++)
	{
		LnChannel  *c = NULL;

		for (int i = 0; i < n && c == NULL; i++)
			if (strcmp(channels[i]->row.name, rows[j].name) == 0)
				c = channels[i];
		if (c == NULL)
		{
			MemoryContext own =
			AllocSetContextCreate(context, "line_notify channel",
								  ALLOCSET_SMALL_SIZES);

			c = MemoryContextAllocZero(context, sizeof(LnChannel));
			c->context = own;
			for (int p = 0; p < LN_LANES; p++)
				ln_lane_init(&c->lanes[p]);
			c->claimed[0].head = c->claimed[1].head = -1;
			c->sent_head = c->sent_tail = c->overdue_from = -1;
			channels[n++] = c;
		}
		take_row(c, &rows[j]);
		ln_token_configure(&c->token, &rows[j], context);
	}

	/* forget what was dropped and is in no delivery's hands */
	for (int i = 0; i < n;)
	{
		if (channels[i]->gone && channels[i]->in_flight == 0)
		{
			freed(channels[i]);
			ln_token_free(&channels[i]->token);
			MemoryContextDelete(channels[i]->context);
			pfree(channels[i]);
			channels[i] = channels[--n];
		}
		else
			i++;
	}
	if (*list != NULL)
		pfree(*list);
	*list = channels;
	return n;
}

static char *
copy(const char *s)
{
	return s ? pstrdup(s) : NULL;
}

static char **
copy_list(char **list, int n)
{
	char	  **result;

	if (list == NULL)
		return NULL;
	result = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		result[i] = pstrdup(list[i]);
	return result;
}

static void
take_row(LnChannel *c, const LnChannelRow *row)
{
	MemoryContext old;

	/* whoever resumes says that the cause is gone */
	if (c->row.paused && !row->paused)
	{
		ln_breaker_success(&c->breaker);
		memset(c->streaks, 0, sizeof(c->streaks));
		c->limit_until = 0;
	}
	/* another road: what answers proved says nothing of it */
	if (c->row.api_base != NULL &&
		(strcmp(c->row.api_base, row->api_base) != 0 ||
		 strcmp(c->row.proxy ? c->row.proxy : "",
				row->proxy ? row->proxy : "") != 0))
		memset(&c->window, 0, sizeof(c->window));
	MemoryContextReset(c->context);
	old = MemoryContextSwitchTo(c->context);
	c->row = *row;
	c->row.name = copy(row->name);
	c->row.api_base = copy(row->api_base);
	c->row.line_channel_id = copy(row->line_channel_id);
	c->row.region = copy(row->region);
	c->row.proxy = copy(row->proxy);
	c->row.ca_file = copy(row->ca_file);
	c->row.credential_value = copy(row->credential_value);
	c->row.credential_key_id = copy(row->credential_key_id);
	c->row.time_zone = copy(row->time_zone);
	c->row.quiet_hours = copy(row->quiet_hours);
	c->row.only_recipients =
		copy_list(row->only_recipients, row->nonly_recipients);
	c->row.paused_subjects =
		copy_list(row->paused_subjects, row->npaused_subjects);
	c->row.paused_use_cases =
		copy_list(row->paused_use_cases, row->npaused_use_cases);
	c->zone = pg_tzset(row->time_zone);
	if (c->zone == NULL)
		c->zone = pg_tzset("GMT");	/* the server's time zones have changed */
	if (c->row.quiet_hours != NULL &&
		!ln_quiet_parse(c->row.quiet_hours, &c->quiet))
		c->row.quiet_hours = NULL;
	c->quiet_until = 0;
	c->quiet_checked = DT_NOEND;
	c->verdict_reading[0] = c->verdict_reading[1] = 0;
	c->row.channel_secret = NULL;
	c->row.token_error = NULL;
	c->row.previous_channel_secret = NULL;
	c->gone = false;
	for (int kind = 0; kind < 2; kind++)
	{
		/* LINE counts per channel and endpoint */
		char	   *key =
		psprintf("%s %s %d", row->api_base,
				 row->line_channel_id ? row->line_channel_id : row->name,
				 kind);

		c->rate_key[kind] =
			hash_bytes_extended((unsigned char *) key, strlen(key), 0) | 1;

		/*
		 * a new channel, or a new worker: nothing of ours is on the wire yet
		 */
		if (c->stats[kind] == NULL)
		{
			c->stats[kind] = ln_shmem_stats(MyDatabaseId, row->name, kind);
			if (c->stats[kind] != NULL)
				pg_atomic_write_u32(&c->stats[kind]->in_flight, 0);
		}
		if (c->stats[kind] != NULL)
			pg_atomic_write_u64(&c->stats[kind]->rate_key, c->rate_key[kind]);
	}
	MemoryContextSwitchTo(old);
}

TimestampTz
ln_channel_quiet_until(LnChannel *c, TimestampTz now)
{
	if (c->row.quiet_hours == NULL)
		return 0;
	/* asked for every claim: it can change with the minute only */
	if (now < c->quiet_checked || now >= c->quiet_checked + USECS_PER_SEC)
	{
		c->quiet_checked = now - now % USECS_PER_SEC;
		c->quiet_until = ln_quiet_time_until(&c->quiet, c->zone, now);
	}
	return c->quiet_until > now ? c->quiet_until : 0;
}

bool
ln_channel_part_paused(const LnChannel *c, LineKind kind, const char *subject)
{
	if (c->row.endpoint_paused[kind])
		return true;
	for (int i = 0; i < c->row.npaused_subjects; i++)
		if (strcmp(c->row.paused_subjects[i], subject) == 0)
			return true;
	return false;
}

bool
ln_channel_use_case_paused(const LnChannel *c, const char *use_case)
{
	for (int i = 0; i < c->row.npaused_use_cases; i++)
		if (strcmp(c->row.paused_use_cases[i], use_case) == 0)
			return true;
	return false;
}

bool
ln_channel_allows(const LnChannel *c, const char *recipient)
{
	return c->row.only_recipients == NULL ||
		bsearch(&recipient, c->row.only_recipients, c->row.nonly_recipients,
				sizeof(char *), ln_outbox_compare_recipients) != NULL;
}
