/*-------------------------------------------------------------------------
 *
 * http.h
 *		An HTTP client for many concurrent small POSTs, over connections that
 *		libcurl makes.  The one door to libcurl; no caller sees a CURL handle.
 *
 * Contract
 *
 * - libcurl makes connections (names, TCP, proxies, TLS) and knows of no
 *   request: the bytes are ours, and only we send them, once.  (Given a
 *   request, it repeats it up to six times when the server closes kept-alive
 *   connections.)  A request of which fewer bytes were taken than it has is
 *   one that no server has: the proof that nothing was sent, whatever error
 *   was reported.
 * - Time-outs are ours: a socket is read before anybody times out, so an
 *   answer that lies in the kernel is never "no answer", however long the
 *   process stood still.
 * - Nothing here raises, palloc()s or touches PostgreSQL; memory is malloc()ed
 *   and belongs to the client.  Errors are values.
 * - The client exposes one descriptor to wait for (readable = call step) and
 *   one time-out; the caller owns the waiting.
 * - The process must ignore SIGPIPE.  All signals are blocked inside calls
 *   that may start a resolver thread.
 * - Without libcurl 7.87 (CURLOPT_QUICK_EXIT), the end of a transfer whose
 *   host name is still being resolved waits for the resolver.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HTTP_H
#define LN_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HttpClient HttpClient;

/*
 * How far a transfer got: the only three answers that matter to us.
 *
 * A final status that comes before the request was taken whole is taken as it
 * is when it refuses (3xx, 4xx); 2xx, 5xx, 408 and 425 cannot mean what they
 * say then, and count as HTTP_NOT_SENT.
 *
 * Through a proxy there is a tunnel, also for plain http: everything before it
 * stands is HTTP_NOT_SENT, also the proxy's own 407 or 502.
 */
typedef enum HttpVerdict
{
	HTTP_NOT_SENT,				/* fewer bytes of the request were taken than
								 * it has: no server has the whole of it */
	HTTP_AMBIGUOUS,				/* the whole was taken, no complete final
								 * status line came */
	HTTP_STATUS					/* a complete final status line (>= 200) came;
								 * headers or body may be cut off */
} HttpVerdict;

typedef struct HttpOptions
{
	int			max_transfers;	/* concurrent transfers */
	int			max_connections;	/* open connections in all */
	int			max_host_connections;	/* open connections to one host */
	int			max_idle_s;		/* never reuse a connection that was idle for
								 * longer (whole seconds); 0 = a connection
								 * for each request */
	int			max_lifetime_s; /* nor one older than this, so that a changed
								 * address is followed; 0 = 5 minutes */
	size_t		max_response;	/* body bytes kept of a response; the transfer
								 * is ended, with its status, beyond it */
} HttpOptions;

typedef struct HttpRequest
{
	uint64_t	tag;			/* comes back in the result */
	const char *method;			/* "POST", body not empty, or "GET", without */
	const char *url;			/* http or https, no credentials in it */
	const char *const *headers; /* complete lines "Name: value", no control
								 * characters, no Content-Length, Expect,
								 * Connection or the like (checked); copied */
	int			nheaders;
	const char *body;			/* copied */
	size_t		body_len;
	int			connect_timeout_ms; /* DNS + TCP + TLS (+ proxy) */
	int			total_timeout_ms;	/* the whole transfer, waiting for a
									 * connection included; both > 0 */
	const char *ca_file;		/* trust only these; NULL = libcurl's default.
								 * A file that changes is followed. */
	const char *proxy;			/* NULL = none; environment proxies are always
								 * ignored */

	/*
	 * Set to 1 just before the first byte of a POST is handed to libcurl,
	 * never cleared; may lie in shared or file-backed memory.  NULL = none.
	 */
	volatile uint8_t *journal;

	/*
	 * Of a POST with a journal: called before bytes are handed to libcurl,
	 * and when it has taken some, with how many of how many it has.  NULL =
	 * not.
	 */
	void		(*watch) (uint64_t tag, size_t sent, size_t of);
} HttpRequest;

typedef struct HttpResult
{
	uint64_t	tag;
	HttpVerdict verdict;
	int			status;			/* HTTP status with HTTP_STATUS, else 0 */
	bool		aborted;		/* ended by ln_http_abort_all */
	int64_t		retry_after_ms; /* header Retry-After (seconds or HTTP date)
								 * as a delay from now; -1 = absent or
								 * unreadable; capped at 24 h */
	char		request_id[80]; /* header x-line-request-id, printable ASCII
								 * only, "" = none */
	int			curl_code;		/* libcurl's code, or the one it would have
								 * used, for the log only: it proves nothing */
	char		error[256];		/* what went wrong, printable ASCII only, ""
								 * when the transfer was complete */
	const char *body;			/* valid until the next call that takes the
								 * client; raw foreign bytes */
	size_t		body_len;		/* <= max_response */
	bool		body_truncated;
	int64_t		elapsed_us;		/* add to end */
	bool		new_connection; /* a connection was opened for this transfer */
} HttpResult;

/*
 * Create a client (calls curl_global_init once per process: do so in the
 * worker, never in the postmaster).  NULL on failure, with a sentence in err.
 */
extern HttpClient *ln_http_create(const HttpOptions *opt, char *err,
								  size_t errlen);

/* End everything without results, and free.  NULL is harmless. */
extern void ln_http_destroy(HttpClient *client);

/*
 * Descriptor that becomes readable when ln_http_step() has work. Constant over
 * the client's life.
 */
extern int	ln_http_fd(const HttpClient *client);

/*
 * Milliseconds until ln_http_step() must be called even without a readable
 * descriptor; -1 = no deadline, 0 = at once.
 */
extern long ln_http_timeout_ms(HttpClient *client);

/*
 * Queue a request; it starts at the next step.  False = refused (no free
 * transfer, bad header, no memory), nothing was or will be sent, sentence in
 * err.
 */
extern bool ln_http_add(HttpClient *client, const HttpRequest *req, char *err,
						size_t errlen);

/*
 * Move transfers on without blocking.  Bounded work per call: call again when
 * ln_http_timeout_ms() is 0.
 */
extern void ln_http_step(HttpClient *client);

/* Take one finished transfer; false = none. */
extern bool ln_http_next(HttpClient *client, HttpResult *res);

/* Transfers added and not yet taken by ln_http_next(). */
extern int	ln_http_active(const HttpClient *client);

/* Transfers that could still be added. */
extern int	ln_http_free(const HttpClient *client);

/*
 * End every running transfer now; each is then taken by ln_http_next() with
 * the verdict its journal supports.
 */
extern void ln_http_abort_all(HttpClient *client);

/*
 * Requests added from now on use new connections, and CA files are read again;
 * running ones end on theirs.  E.g. after CA or proxy settings changed.
 */
extern void ln_http_forget_connections(HttpClient *client);

/*
 * What kind of fault libcurl's code tells, for people: "TLS", "name
 * resolution", "connection", "time-out", ...
 */
extern const char *ln_http_fault_name(int curl_code);

/* "libcurl/7.88.1 OpenSSL/3.0.19 ..." */
extern const char *ln_http_version(void);

#endif							/* LN_HTTP_H */
