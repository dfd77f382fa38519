/*-------------------------------------------------------------------------
 *
 * questions.h
 *		What LINE is asked beside messages: for tokens, whether it is back,
 *		whether it takes a credential, what it counted.
 *
 * A question goes by the road that the messages of its channel take (proxy,
 * certificate, time-outs), through the worker's HTTP client, apart from
 * messages by its tag.  Its answer is handed to the module that asked.  Needs
 * no transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_QUESTIONS_H
#define LN_QUESTIONS_H

#include "http/http.h"
#include "worker/channel.h"

/*
 * Takes an answer; no is the asker's own.  res is NULL when nobody will answer
 * any more: the channel is gone.
 */
typedef void (*LnAnswered) (LnChannel *c, int no, const HttpResult *res);

/* On their way at once, of all kinds; places of theirs in the HTTP client. */
#define LN_QUESTIONS		16

/* Tags with this bit are no messages. */
#define LN_TAG_QUESTION		(UINT64CONST(1) << 62)

/*
 * Ask.  A GET goes with the token of the channel, which must be ready; a POST
 * has a form of its own instead.  False, for the latter with a sentence in
 * err, when it could not be sent.
 */
extern bool ln_question_get(LnChannel *c, const char *path,
							LnAnswered answered, int no, HttpClient *http);
extern bool ln_question_post(LnChannel *c, const char *path, const char *form,
							 LnAnswered answered, int no, HttpClient *http,
							 char *err, size_t errlen);

/* An answer with LN_TAG_QUESTION: to whoever asked. */
extern void ln_question_answered(const HttpResult *res);

/* Nobody will want the answers for this channel: it is freed. */
extern void ln_questions_forget(LnChannel *c);

/* On their way. */
extern int	ln_questions_pending(void);

#endif							/* LN_QUESTIONS_H */
