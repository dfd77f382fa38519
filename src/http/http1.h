/*-------------------------------------------------------------------------
 *
 * http1.h
 *		HTTP/1.1 as bytes: builds the head of a request, and reads an answer
 *		piece by piece (RFC 9112).
 *
 * Pure: no allocation, no system call, no clock, nothing of libcurl or
 * PostgreSQL.  The bytes of an answer are foreign, and may be cut anywhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HTTP1_H
#define LN_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Limits on the head of an answer, interim ones (1xx), trailers and the lines
 * that cut a body into chunks included.  LINE sends about 15 lines and 600
 * bytes; gateways add some.
 */
#define HTTP1_MAX_LINES		256
#define HTTP1_MAX_BYTES		(64 * 1024)
#define HTTP1_MAX_INTERIM	16

/*
 * What we look at in a line fits into this: a status line, a length, a time, a
 * request id.  A longer line that comes in pieces is kept to this length.
 */
#define HTTP1_LINE_ROOM		512

/* ---------- requests ---------- */

/*
 * May this line, "Name: value", be sent as a header of ours?  False = no, with
 * a sentence in why.
 */
extern bool ln_http1_header_good(const char *line, const char **why);

/*
 * Where the parts of an http or https URL lie in it.
 */
typedef struct Http1Url
{
	size_t		base_len;		/* scheme://host[:port] */
	const char *host;			/* for the header Host */
	size_t		host_len;		/* without the scheme's usual port */
	const char *path;			/* begins with / or ?, may be empty */
	size_t		path_len;		/* without fragment */
	bool		https;
} Http1Url;

/* False = no http or https URL, or one with blanks or control characters. */
extern bool ln_http1_url(const char *url, Http1Url *parts);

/*
 * Write the head of a request, with its blank line, to buf; returns its
 * length, which may be larger than size: then nothing useful was written. The
 * lines are good ones.  body_len < 0 = no body.
 */
extern size_t ln_http1_head(char *buf, size_t size, const char *method,
							const Http1Url *url, const char *const *headers,
							int nheaders, int64_t body_len);

/* ---------- answers ---------- */

typedef enum Http1State
{
	HTTP1_STATUS_LINE,			/* a status line must come -> HTTP1_INTERIM,
								 * HTTP1_HEAD, HTTP1_BROKEN */
	HTTP1_INTERIM,				/* head of a 1xx -> HTTP1_STATUS_LINE,
								 * HTTP1_BROKEN */
	HTTP1_HEAD,					/* head of the final answer -> HTTP1_LENGTH,
								 * HTTP1_CHUNK_SIZE, HTTP1_UNTIL_CLOSE,
								 * HTTP1_COMPLETE, HTTP1_BROKEN */
	HTTP1_LENGTH,				/* body of a known length -> HTTP1_COMPLETE */
	HTTP1_CHUNK_SIZE,			/* line before a chunk -> HTTP1_CHUNK,
								 * HTTP1_TRAILER, HTTP1_BROKEN */
	HTTP1_CHUNK,				/* in a chunk -> HTTP1_CHUNK_END */
	HTTP1_CHUNK_END,			/* line end after it -> HTTP1_CHUNK_SIZE,
								 * HTTP1_BROKEN */
	HTTP1_TRAILER,				/* after the last chunk -> HTTP1_COMPLETE,
								 * HTTP1_BROKEN */
	HTTP1_UNTIL_CLOSE,			/* body that ends with the connection ->
								 * HTTP1_COMPLETE */
	HTTP1_COMPLETE,				/* the message has ended */
	HTTP1_BROKEN				/* no HTTP, or too much of it; reason says */
} Http1State;

/*
 * What was taken although it is not as it should be.  Most of it ends the use
 * of the connection: two readers may see different ends of such a message.
 */
#define HTTP1_ODD_LINE_END	0x0001	/* LF without CR */
#define HTTP1_ODD_BYTE		0x0002	/* control character in a head */
#define HTTP1_ODD_HEADER	0x0004	/* no colon, or not a name before it */
#define HTTP1_ODD_FOLD		0x0008	/* a line that continues another */
#define HTTP1_ODD_LENGTH	0x0010	/* the length twice, or beside chunks */
#define HTTP1_ODD_CODING	0x0020	/* a coding other than chunked, or chunks
									 * where HTTP/1.0 or the status has none */
#define HTTP1_ODD_CHUNK		0x0040	/* extension or blank after a chunk size */
#define HTTP1_ODD_VERSION	0x0080	/* neither HTTP/1.0 nor HTTP/1.1 */
#define HTTP1_ODD_STATUS	0x0100	/* status line without its second blank,
									 * or status above 599 */
#define HTTP1_ODD_LONG		0x0200	/* a line longer than we keep */

/* seen often, and no doubt about the end of the message */
#define HTTP1_ODD_HARMLESS	(HTTP1_ODD_CHUNK | HTTP1_ODD_STATUS)

typedef struct Http1Answer
{
	Http1State	state;
	int			status;			/* of the last complete status line, or 0 */
	uint32_t	odd;			/* HTTP1_ODD_… */
	const char *reason;			/* of HTTP1_BROKEN */

	/* of the final answer */
	bool		keep_alive;		/* the server will take another request */
	int64_t		retry_after_s;	/* Retry-After in seconds, the longest; -1 */
	int64_t		retry_at;		/* Retry-After as a date, in seconds since
								 * 1970, the latest; INT64_MIN = none */
	char		request_id[80]; /* x-line-request-id, printable ASCII only */

	/* ours */
	int			lines;
	size_t		bytes;
	int			interims;
	int			minor;			/* HTTP/1.minor */
	bool		has_length;
	bool		has_coding;
	bool		chunked;		/* the last coding is chunked */
	bool		close;
	bool		says_keep_alive;
	bool		framing_line;	/* the previous header says where it ends */
	uint64_t	length;
	uint64_t	left;			/* of the body or the chunk */
	size_t		line_len;		/* bytes of the line so far, more than kept */
	char		line[HTTP1_LINE_ROOM];
} Http1Answer;

/* Begin to read the answer to a GET or POST. */
extern void ln_http1_begin(Http1Answer *a);

/*
 * Read on.  Returns how many bytes were taken: all of them, unless the message
 * has ended or is broken, or a piece of the body was met: then *body, inside
 * data, has *body_len bytes, and the rest is to be given again.
 */
extern size_t ln_http1_feed(Http1Answer *a, const char *data, size_t len,
							const char **body, size_t *body_len);

/* The connection has ended: HTTP1_COMPLETE when that ends the message. */
extern void ln_http1_end(Http1Answer *a);

/* A complete status line of a final answer has come. */
static inline bool
ln_http1_final(const Http1Answer *a)
{
	return a->status >= 200;
}

/* It has ended, or never will. */
static inline bool
ln_http1_ended(const Http1Answer *a)
{
	return a->state >= HTTP1_COMPLETE;
}

/*
 * May the connection be used for another request?  Only after HTTP1_COMPLETE,
 * and only if nothing is left of the bytes that were read.
 */
static inline bool
ln_http1_reusable(const Http1Answer *a)
{
	return a->state == HTTP1_COMPLETE && a->keep_alive &&
		(a->odd & ~HTTP1_ODD_HARMLESS) == 0;
}

/*
 * An HTTP date in any of its three forms (RFC 9110 5.6.7), in seconds since
 * 1970.  False = it is none.
 */
extern bool ln_http1_date(const char *text, size_t len, int64_t *seconds);

/*
 * Copy foreign text as printable ASCII, cut to size - 1 bytes, terminated.
 */
extern void ln_http1_printable(char *dst, size_t size, const char *src,
							   size_t len);

#endif							/* LN_HTTP1_H */
