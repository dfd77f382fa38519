/*-------------------------------------------------------------------------
 *
 * webhook_body_test.c
 *		What is read from LINE's webhook bodies: the events that concern us,
 *		and no harm from anything else.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "line/line_api.h"
#include "tap.h"
#include "line/webhook_body.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char tag[LINE_TAG_SIZE];

/*
 * What a body says, one letter per event, or "-"; read from memory of exactly
 * its size.
 */
static const char *
says(const char *body, size_t len)
{
	static char letters[64];
	char	   *copy = malloc(len > 0 ? len : 1);
	LnWebhookBody b;
	LnBodyEvent e;
	size_t		n = 0;

	memcpy(copy, body, len);
	if (!ln_webhook_begin(&b, copy, len))
		strcpy(letters, "-");
	else
	{
		while (n < sizeof(letters) - 1 && ln_webhook_next(&b, &e))
			letters[n++] = e.type == LN_EVENT_FOLLOW ? 'f'
				: e.type == LN_EVENT_UNFOLLOW ? 'u' : e.tagged ? 't' : 'h';
		letters[n] = '\0';
	}
	free(copy);
	return letters;
}

/* the one event of "%s", as says() */
static const char *
one(const char *event)
{
	char		body[2048];

	snprintf(body, sizeof(body), "{\"events\":[%s]}", event);
	return says(body, strlen(body));
}

/* a delivery whose member is replaced */
static const char *
delivery(const char *id, const char *data, const char *timestamp)
{
	static char event[1024];

	snprintf(event, sizeof(event), "{\"type\":\"delivery\",\"webhookEventId\":%s,\"delivery\":{\"data\":%s},\"timestamp\":%s}",
			 id, data, timestamp);
	return one(event);
}

static void
test_whole(void)
{
	char		body[2048];
	LnWebhookBody b;
	LnBodyEvent e;

	snprintf(body, sizeof(body),
			 "{\"destination\":\"U0\",\"events\":["
			 "{\"type\":\"message\",\"message\":{\"type\":\"text\","
			 "\"text\":\"\\u0000 \\ud83d \xF0\x9F\x98\x80 ]}\\\"\"},"
			 "\"webhookEventId\":\"M\"},"
			 "{\"type\":\"delivery\",\"delivery\":{\"data\":\"%s\"},"
			 "\"webhookEventId\":\"01J0\","
			 "\"deliveryContext\":{\"isRedelivery\":true},"
			 "\"timestamp\":1750000000123,\"mode\":\"active\"},"
			 "{\"type\":\"delivery\",\"delivery\":{\"data\":\"" HASH "\"},"
			 "\"webhookEventId\":\"01J1\",\"timestamp\":1750000000124},"
			 "{\"type\":\"follow\",\"webhookEventId\":\"01J2\","
			 "\"timestamp\":1750000000125,\"source\":{\"userId\":\"U1\"}},"
			 "{\"type\":\"unfollow\",\"webhookEventId\":\"01J3\"}]}", tag);
	ok(ln_webhook_begin(&b, body, strlen(body)), "a body of five events");
	ok(ln_webhook_next(&b, &e) && e.type == LN_EVENT_DELIVERY && e.tagged &&
	   e.message_id == 42 && e.attempt == 3 && e.token == 77,
	   "the message of somebody else, whatever it holds, does not hide the delivery behind it");
	is_str(e.id, "01J0", "its id");
	is_int(e.at_ms, 1750000000123, "its time");
	ok(ln_webhook_next(&b, &e) && !e.tagged && strcmp(e.recipient, HASH) == 0,
	   "one without a tag names the recipient");
	ok(ln_webhook_next(&b, &e) && e.type == LN_EVENT_FOLLOW && !e.tagged &&
	   e.recipient[0] == '\0', "follow");
	ok(ln_webhook_next(&b, &e) && e.type == LN_EVENT_UNFOLLOW && e.at_ms == 0,
	   "unfollow, with no time of its own");
	ok(!ln_webhook_next(&b, &e) && !ln_webhook_next(&b, &e), "no more");

	is_str(says("{\"events\":[]}", 13), "", "no events");
	is_str(says(" { \"events\" : [ ] } ", 20), "", "spaces");
	for (size_t i = 0; i < strlen(body); i++)
		if (strcmp(says(body, i), "-") != 0)
			ok(false, "cut off after %zu bytes", i);
	ok(true, "no part of a body is a body");
}

static void
test_no_body(void)
{
	static const char *const bodies[] = {
		"", " ", "{", "}", "{}", "[]", "null", "1", "\"x\"", "[[[[",
		"{\"events\"}", "{\"events\":}", "{\"events\":null}",
		"{\"events\":{}}", "{\"events\":\"x\"}", "{\"events\":1}",
		"{\"events\":[]", "{\"events\":[]}x", "{\"events\":[]}{}",
		"{\"events\":[],}", "{events:[]}", "{\"event\":[]}", "{\"EVENTS\":[]}",
		"{\"events\":1,\"events\":[]}", "{\"x\":{\"events\":[]}}"
	};
	char	   *deep = malloc(4000000);

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		is_str(says(bodies[i], strlen(bodies[i])), "-", bodies[i]);
	memset(deep, '[', 4000000);
	is_str(says(deep, 4000000), "-", "four million brackets");
	memcpy(deep, "{\"events\":", 10);
	is_str(says(deep, 4000000), "-", "as events");
	memset(deep + 2000000, ']', 2000000);
	deep[3999999] = '}';
	/* 1999990 opened, 1999999 closed before the brace: no JSON, no harm */
	is_str(says(deep, 4000000), "-", "closed again");
	free(deep);
}

static void
test_types(void)
{
	char		event[600];
	char		quoted[200];
	static const char *const values[] = {
		"null", "true", "0", "-1", "1e5", "[]", "{}", "[\"delivery\"]",
		"{\"type\":\"delivery\"}", "\"\"", "\"x\\u0000\"", "\"\\ud800\""
	};
	static const char *const times[] = {
		"-1", "0", "1", "946684800000", "4102444800000", "9466848000000000",
		"1e400", "-1e400", "1e-400", "9223372036854775808",
		"123456789012345678901234567890123456789012345678901234567890",
		"1750000000000x", "1-1", "0x65e0a7f0000", "1e", "1.2.3"
	};
	static const char *const good_times[] = {
		"1750000000000", "1.75e12", "1750000000000.5", "null",
		"\"1750000000000\"", "[]", "{}", "true", "NaN"
	};

	snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
	is_str(delivery("\"a\"", quoted, "1750000000000"), "t", "a delivery");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		ok(strcmp(delivery(values[i], quoted, "1750000000000"), "") == 0,
		   "webhookEventId %s", values[i]);
		ok(strcmp(delivery("\"a\"", values[i], "1750000000000"), "") == 0,
		   "delivery.data %s", values[i]);
		snprintf(event, sizeof(event), "{\"type\":%s,\"webhookEventId\":\"a\",\"delivery\":{\"data\":%s}}", values[i], quoted);
		is_str(one(event), "", "type");
		snprintf(event, sizeof(event), "{\"type\":\"delivery\",\"webhookEventId\":\"a\",\"delivery\":%s}", values[i]);
		is_str(one(event), "", "delivery");
		is_str(one(values[i]), "", "the event itself");
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		ok(strcmp(delivery("\"a\"", quoted, times[i]), "") == 0,
		   "no time of LINE's: %s", times[i]);
	for (size_t i = 0; i < sizeof(good_times) / sizeof(good_times[0]); i++)
		ok(strcmp(delivery("\"a\"", quoted, good_times[i]), "t") == 0,
		   "a time, or none at all: %s", good_times[i]);

	is_str(delivery("\"a\"", "\"somebody-elses-tag-0001\"", "1750000000000"),
		   "", "a tag of somebody else");
	is_str(delivery("\"a\"", "\"" HASH "0\"", "1750000000000"), "",
		   "65 digits");
	is_str(delivery("\"a\"", "\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"", "1750000000000"), "", "upper case");
	memset(quoted, 'x', sizeof(quoted));
	quoted[0] = quoted[65] = '"';
	quoted[66] = '\0';
	is_str(delivery(quoted, "\"" HASH "\"", "1750000000000"), "h",
		   "an id of 64 characters");
	quoted[65] = 'x';
	quoted[66] = '"';
	quoted[67] = '\0';
	is_str(delivery(quoted, "\"" HASH "\"", "1750000000000"), "", "one of 65");
	is_str(one("{\"type\":\"delivery\",\"type\":\"follow\",\"webhookEventId\":\"a\",\"delivery\":{\"data\":\"" HASH "\"}}"), "h", "the first of equal names counts");
	is_str(one("1,{\"type\":\"follow\",\"webhookEventId\":\"a\"},[],{\"type\":\"\\u0066ollow\",\"webhookEventId\":\"b\"}"), "ff", "events among others; escapes are read");
	is_str(one("{\"type\":\"follow\",\"webhookEventId\":\"a\"}{\"type\":\"follow\",\"webhookEventId\":\"b\"}"), "ff", "brackets are counted, commas are not");
	is_str(one(",,"), "", "nothing but commas");
}

int
main(void)
{
	ln_line_tag(tag, 42, 3, 77);
	test_whole();
	test_no_body();
	test_types();
	return done_testing();
}
