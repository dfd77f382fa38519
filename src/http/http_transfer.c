/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *		A request of the HTTP client and its answer: what is kept of it, and
 *		what it proves.
 *
 * What counts as an answer
 *
 * A complete status line of a final response (200 or above), as http1.c reads
 * it.  If it comes before the request was accepted whole, nothing more is
 * sent, and the answer is taken as it is when it refuses (3xx, 4xx).  But 2xx,
 * 5xx, 408 and 425 then cannot mean what they say of a message that no server
 * has, so they become HTTP_NOT_SENT.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/http_internal.h"

/* Longest delay taken from Retry-After; the caller has its own pauses. */
#define MAX_RETRY_AFTER_MS	(INT64_C(24) * 3600 * 1000)

/*
 * Buffers of a transfer that grew beyond this are given back afterwards, so
 * that a few large messages do not make every slot large.
 */
#define KEEP_BUFFER_BYTES	(64 * 1024)

/* First size of a buffer for a body; LINE's usual answer is "{}". */
#define FIRST_RESPONSE_BYTES	512

static bool transfer_keep(Transfer *t, const char *data, size_t len);
static HttpVerdict transfer_verdict(const Transfer *t);

/* ---------- lists of transfers ---------- */

void
ln_list_push(TransferList *list, Transfer *t)
{
	t->next = NULL;
	if (list->tail != NULL)
		list->tail->next = t;
	else
		list->head = t;
	list->tail = t;
	list->n++;
}

void
ln_list_push_front(TransferList *list, Transfer *t)
{
	t->next = list->head;
	list->head = t;
	if (list->tail == NULL)
		list->tail = t;
	list->n++;
}

Transfer   *
ln_list_pop(TransferList *list)
{
	Transfer   *t = list->head;

	if (t != NULL)
	{
		list->head = t->next;
		if (list->head == NULL)
			list->tail = NULL;
		t->next = NULL;
		list->n--;
	}
	return t;
}

void
ln_list_remove(TransferList *list, Transfer *t)
{
	Transfer   *before = NULL;
	Transfer   *p;

	for (p = list->head; p != NULL && p != t; p = p->next)
		before = p;
	if (p == NULL)
		return;
	if (before != NULL)
		before->next = t->next;
	else
		list->head = t->next;
	if (list->tail == t)
		list->tail = before;
	t->next = NULL;
	list->n--;
}

/* ---------- answers ---------- */

/*
 * Take what was received.  False = the answer is over; is there something
 * behind it?
 */
bool
ln_transfer_take(Transfer *t, const char *data, size_t len, bool *surplus)
{
	while (len > 0 && !ln_http1_ended(&t->answer))
	{
		const char *body;
		size_t		body_len;
		size_t		n = ln_http1_feed(&t->answer, data, len, &body, &body_len);

		if (body_len > 0 && !transfer_keep(t, body, body_len))
		{
			t->truncated = true;
			t->code = CURLE_WRITE_ERROR;
			snprintf(t->error, sizeof(t->error), "response too long");
			return false;
		}
		data += n;
		len -= n;
	}
	if (t->answer.state == HTTP1_BROKEN)
		t->code = CURLE_WEIRD_SERVER_REPLY;
	*surplus = len > 0;
	return !ln_http1_ended(&t->answer);
}

/*
 * Keep a piece of a body.  False = there is more than may be kept.
 */
static bool
transfer_keep(Transfer *t, const char *data, size_t len)
{
	size_t		max = t->client->opt.max_response;
	size_t		keep = len;

	if (t->response_len + keep > max)
		keep = max - t->response_len;
	if (t->response_len + keep > t->response_capacity)
	{
		size_t		capacity = t->response_capacity > 0 ?
		t->response_capacity : FIRST_RESPONSE_BYTES;
		char	   *p;

		while (capacity < t->response_len + keep)
			capacity *= 2;
		p = realloc(t->response, capacity);
		if (p == NULL)
			return false;
		t->response = p;
		t->response_capacity = capacity;
	}
	if (keep > 0)
		memcpy(t->response + t->response_len, data, keep);
	t->response_len += keep;
	return keep == len;
}

/*
 * A transfer that has no connection any more is over: judge it, and put it
 * among those that the caller may take.
 */
void
ln_transfer_finish(Transfer *t)
{
	t->verdict = transfer_verdict(t);
	if (t->error[0] == '\0' && t->answer.state != HTTP1_COMPLETE)
		snprintf(t->error, sizeof(t->error), "%s",
				 t->answer.reason != NULL ? t->answer.reason :
				 "no complete answer");
	t->elapsed_us = ln_now_us() - t->started_us;
	t->origin = NULL;
	t->state = TRANSFER_DONE;
	ln_list_push(&t->client->done, t);
}

/*
 * End a transfer that has no connection, or none any more.
 */
void
ln_transfer_fail(Transfer *t, CURLcode code, const char *error)
{
	t->code = code;
	snprintf(t->error, sizeof(t->error), "%s", error);
	ln_transfer_finish(t);
}

/*
 * How far it got; see the top of this file.
 */
static HttpVerdict
transfer_verdict(const Transfer *t)
{
	int			status = t->answer.status;

	if (t->sent < t->out_len)
	{
		if (status >= 300 && status <= 499 && status != 408 && status != 425)
			return HTTP_STATUS;
		return HTTP_NOT_SENT;
	}
	return ln_http1_final(&t->answer) ? HTTP_STATUS : HTTP_AMBIGUOUS;
}

/*
 * Retry-After as a delay from now.
 */
int64_t
ln_transfer_retry_after_ms(const Transfer *t)
{
	int64_t		ms = -1;

	if (t->answer.retry_after_s >= 0)
		ms = t->answer.retry_after_s * 1000;
	if (t->answer.retry_at != INT64_MIN)
	{
		int64_t		left = (t->answer.retry_at - (int64_t) time(NULL)) * 1000;

		if (left < 0)
			left = 0;
		if (left > ms)
			ms = left;
	}
	return ms > MAX_RETRY_AFTER_MS ? MAX_RETRY_AFTER_MS : ms;
}

/*
 * The caller is done with a result.
 */
void
ln_transfer_release(Transfer *t)
{
	HttpClient *client = t->client;

	client->taken = NULL;
	t->journal = NULL;
	explicit_bzero(t->out, t->head_len);
	t->head_len = 0;
	if (t->out_capacity > KEEP_BUFFER_BYTES)
	{
		free(t->out);
		t->out = NULL;
		t->out_capacity = 0;
	}
	if (t->response_capacity > KEEP_BUFFER_BYTES)
	{
		free(t->response);
		t->response = NULL;
		t->response_capacity = 0;
	}

	/* as a stack: under low load, few buffers are used and stay warm */
	t->state = TRANSFER_FREE;
	ln_list_push_front(&client->idle, t);
}
