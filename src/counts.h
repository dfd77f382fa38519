/*-------------------------------------------------------------------------
 *
 * counts.h
 *		LINE's own figures: what was delivered on a day, how the messages of an
 *		aggregation unit were received, how many units are in use.
 *
 * Asked through the worker's HTTP client, a few questions at a time; answers
 * wait here until the worker records them.  Needs no transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_COUNTS_H
#define LN_COUNTS_H

#include "channel.h"
#include "http.h"

/* questions at a time */
#define LN_COUNTS_MAX		8

typedef struct LnCount
{
	char		channel[64];
	char		kind[16];		/* template, flexible: delivered on a day;
								 * engagement: of a unit from day to upto;
								 * units: in use this month */
	char		day[9];			/* yyyymmdd, UTC+9 */
	char		upto[9];		/* engagement */
	char		unit[31];		/* engagement: of [A-Za-z0-9_] */
	char		status[40];		/* LINE's word: ready, unready, ...; or "http
								 * 403", "no answer" */
	int64		number;			/* messages; people who opened; units; -1 =
								 * not told */
	int64		clicked;		/* engagement: people who opened a URL; -1 =
								 * not told */
} LnCount;

/* Ask for n counts (all down to unit are filled in). Returns how many could be asked for: others lack a token. */
extern int	ln_counts_ask(LnChannel **channels, int nchannels, const LnCount *counts, int n, HttpClient *http);

/* Questions without answer. */
extern int	ln_counts_pending(void);

/* An answer with LN_TAG_COUNTS. */
extern void ln_counts_result(const HttpResult *res);

/* The answers so far; they stay until forgotten. */
extern int	ln_counts_answers(const LnCount **counts);
extern void ln_counts_forget(void);

#endif							/* LN_COUNTS_H */
