/*-------------------------------------------------------------------------
 *
 * catalogue.c
 *		What is publicly known of LINE's catalogue of template keys.
 *
 * Only a source of rows: CREATE EXTENSION copies them into the table
 * template_catalogue, beside which users keep their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "content/catalogue_data.h"
#include "content/encoding.h"

PG_FUNCTION_INFO_V1(line_notify_known_catalogue);

/*
 * _known_catalogue() returns setof (kind, region, key, name, label,
 *		description, use_case)
 *
 * Names are NULL where the encoding of the database lacks the characters.
 */
Datum
line_notify_known_catalogue(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	size_t		i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < lengthof(catalogue_rows); i++)
	{
		const CatalogueRow *row = &catalogue_rows[i];
		const char *texts[7];
		Datum		values[7];
		bool		nulls[7];
		int			j;

		texts[0] = row->kind;
		texts[1] = row->region;
		texts[2] = row->key;
		texts[3] = row->name;
		texts[4] = row->label;
		texts[5] = row->description;
		texts[6] = row->use_case;
		for (j = 0; j < 7; j++)
		{
			int			len = 0;
			const char *str = texts[j];

			if (str != NULL)
				str = ln_encoding_from_utf8(str, strlen(str), &len);
			nulls[j] = str == NULL;
			values[j] = str == NULL ? (Datum) 0 :
				PointerGetDatum(cstring_to_text_with_len(str, len));
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}
