/*-------------------------------------------------------------------------
 *
 * secret.c
 *		The text of a secret: inline, or the first line of a file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "line/token_api.h"
#include "worker/secret.h"

/* LINE's tokens are a few hundred bytes, a PEM key under 4 kB. */
#define MAX_SECRET	8192

int
ln_secret_open(const char *path, struct stat *st)
{
	/* O_NONBLOCK: opening a pipe must not hang */
	int			fd = OpenTransientFile(path,
									   O_RDONLY | O_NONBLOCK | PG_BINARY);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)))
	{
		CloseTransientFile(fd);
		errno = 0;
		return -1;
	}
	return fd;
}

char *
ln_secret_read(const char *value, char *err, size_t errlen)
{
	const char *path;
	struct stat st;
	char		buf[MAX_SECRET + 1];
	char	   *secret;
	ssize_t		len;
	int			fd;

	if (strncmp(value, "file:", 5) != 0)
		return pstrdup(value);
	path = value + 5;

	fd = ln_secret_open(path, &st);
	if (fd < 0)
	{
		if (errno == 0)
			strlcpy(err, "it is not a regular file", errlen);
		else
			snprintf(err, errlen, "could not open the file: %s",
					 strerror(errno));
		return NULL;
	}
	/* as the server does with its TLS key */
	if ((st.st_uid == geteuid() && (st.st_mode & (S_IRWXG | S_IRWXO))) ||
		(st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO))) ||
		(st.st_uid != 0 && st.st_uid != geteuid()))
	{
		CloseTransientFile(fd);
		strlcpy(
				err,
				"it must belong to the server's user and be accessible to nobody else (0600), or to root (0640)",
				errlen);
		return NULL;
	}
	len = read(fd, buf, MAX_SECRET);
	CloseTransientFile(fd);
	if (len <= 0)
	{
		strlcpy(err, "it is empty or cannot be read", errlen);
		return NULL;
	}
	buf[len] = '\0';
	/* the first line, except of a PEM key */
	if (strncmp(buf, "-----BEGIN", 10) != 0)
		buf[strcspn(buf, "\r\n")] = '\0';
	if (buf[0] == '\0')
	{
		strlcpy(err, "its first line is empty", errlen);
		return NULL;
	}
	secret = pstrdup(buf);
	explicit_bzero(buf, sizeof(buf));
	return secret;
}

char *
ln_secret_read_token(const char *value, char *err, size_t errlen)
{
	char	   *token = ln_secret_read(value, err, errlen);

	if (token == NULL || ln_token_is_clean(token))
		return token;
	explicit_bzero(token, strlen(token));
	pfree(token);
	strlcpy(err,
			"it must consist of printable ASCII characters without space",
			errlen);
	return NULL;
}
