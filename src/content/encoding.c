/*-------------------------------------------------------------------------
 *
 * encoding.c
 *		Between UTF-8, which LINE and our tables use, and the database.
 *
 * pg_server_to_any() and pg_any_to_server() raise an error for a character
 * that the other side lacks.  A view of Japanese names must not fail in a
 * LATIN1 database, and a checker must report instead of raise, so these
 * functions return NULL.  A SQL_ASCII database takes and gives bytes as they
 * are, as everywhere in PostgreSQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "content/encoding.h"

static const char *
convert(const char *str, int len, int from, int to, int *outlen)
{
	Oid			proc;
	char	   *result;
	unsigned char *src;
	Size		room;
	int			i;

	*outlen = len;
	if (from == to || from == PG_SQL_ASCII || to == PG_SQL_ASCII)
		return str;
	for (i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(str[i]))
			break;
	}
	if (i == len)
		return str;

	proc = FindDefaultConversionProc(from, to);
	if (!OidIsValid(proc) ||
		(Size) len >= MaxAllocSize / MAX_CONVERSION_GROWTH)
		return NULL;
	room = (Size) len * MAX_CONVERSION_GROWTH + 1;

	result = palloc(room);
	src = (unsigned char *) unconstify(char *, str);
	if (pg_do_encoding_conversion_buf(proc, from, to, src, len,
									  (unsigned char *) result, room,
									  true) != len)
	{
		pfree(result);
		return NULL;
	}
	*outlen = strlen(result);
	return result;
}

const char *
ln_encoding_from_utf8(const char *utf8, int len, int *outlen)
{
	return convert(utf8, len, PG_UTF8, GetDatabaseEncoding(), outlen);
}

const char *
ln_encoding_to_utf8(const char *str, int len, int *outlen)
{
	return convert(str, len, GetDatabaseEncoding(), PG_UTF8, outlen);
}

text *
ln_encoding_text_from_utf8(const char *utf8, int len)
{
	int			outlen;
	const char *str = ln_encoding_from_utf8(utf8, len, &outlen);

	if (str == NULL)
		ereport(
				ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg(
						"text cannot be expressed in the encoding \"%s\" of "
						"the database",
						GetDatabaseEncodingName())));
	return cstring_to_text_with_len(str, outlen);
}
