/*-------------------------------------------------------------------------
 *
 * health.c
 *		What health() asks of this process and of its server's files.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "worker/secret.h"

PG_FUNCTION_INFO_V1(line_notify_ca_fault);
PG_FUNCTION_INFO_V1(line_notify_secret_fault);
PG_FUNCTION_INFO_V1(line_notify_time_limit);

/* A list of all public authorities has about 220 kB. */
#define MAX_CA_FILE		(4 * 1024 * 1024)

/* Can the file of a credential be used here, as the worker would? */
Datum
line_notify_secret_fault(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *value = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char		err[256] = "";
	char	   *secret = strcmp(kind, "access_token") == 0
	? ln_secret_read_token(value, err, sizeof(err))
	: ln_secret_read(value, err, sizeof(err));

	if (secret == NULL)
		PG_RETURN_TEXT_P(cstring_to_text(err));
	explicit_bzero(secret, strlen(secret));
	PG_RETURN_NULL();
}

/* Why a file holds no certificates that could be trusted, or NULL. */
static const char *
ca_fault(const char *path)
{
	struct stat st;
	char	   *pem;
	ssize_t		len;
	int			n;
	int			fd = ln_secret_open(path, &st);

	if (fd < 0)
		return errno == 0 ? "is not a regular file"
			: errno == ENOENT ? "does not exist on this server"
			: psprintf("could not open the file: %s", strerror(errno));
	if (st.st_size > MAX_CA_FILE)
	{
		CloseTransientFile(fd);
		return "is too large for a list of certificates";
	}
	pem = palloc(MAX_CA_FILE);
	len = read(fd, pem, MAX_CA_FILE);
	CloseTransientFile(fd);
	n = len < 0 ? 0 : ln_count_certificates(pem, len);
	pfree(pem);
	CHECK_FOR_INTERRUPTS();
	return n > 0 ? NULL : n == 0 ? "holds no certificate (PEM)"
		: "holds a certificate, key or list of revocations that cannot be read";
}

/* _ca_fault(path text) returns text */
Datum
line_notify_ca_fault(PG_FUNCTION_ARGS)
{
	const char *fault = ca_fault(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (fault == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}

/*
 * _time_limit(milliseconds int): the statement is cancelled after that time,
 * by the timer of statement_timeout, unless that comes earlier.  NULL puts
 * back what was; when our time is over already, the error comes here, and not
 * later.  Whatever ends the statement forgets the limit with it.
 */
Datum
line_notify_time_limit(PG_FUNCTION_ARGS)
{
	static TimestampTz former;	/* end of statement_timeout, 0 = none */

	if (!PG_ARGISNULL(0))
	{
		TimestampTz ends =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									PG_GETARG_INT32(0));

		former = get_timeout_active(STATEMENT_TIMEOUT) ?
			get_timeout_finish_time(STATEMENT_TIMEOUT) : 0;
		if (former == 0 || former > ends)
			enable_timeout_at(STATEMENT_TIMEOUT, ends);
	}
	else
	{
		disable_timeout(STATEMENT_TIMEOUT, true);
		if (former != 0)
			enable_timeout_at(STATEMENT_TIMEOUT, former);
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_VOID();
}
