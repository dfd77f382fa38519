/*-------------------------------------------------------------------------
 *
 * counts.h
 *		LINE's own count of what was delivered on a day.
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
	char		kind[16];		/* template, flexible */
	char		day[9];			/* yyyymmdd, UTC+9 */
	char		status[40];		/* LINE's word: ready, unready, ...; or "http
								 * 403", "no answer" */
	int64		messages;		/* -1 = not told */
} LnCount;

/* Ask for n counts (channel, kind and day are filled in). Returns how many could be asked for: others lack a token. */
extern int	ln_counts_ask(LnChannel **channels, int nchannels, const LnCount *counts, int n, HttpClient *http);

/* Questions without answer. */
extern int	ln_counts_pending(void);

/* An answer with LN_TAG_COUNTS. */
extern void ln_counts_result(const HttpResult *res);

/* The answers so far; they stay until forgotten. */
extern int	ln_counts_answers(const LnCount **counts);
extern void ln_counts_forget(void);

#endif							/* LN_COUNTS_H */
