/*-------------------------------------------------------------------------
 *
 * phone.h
 *		Text of any kind to an E.164 phone number, or a reason why not.
 *
 * Pure: no PostgreSQL, no allocation, no regular expressions, no state.  May
 * be called from any thread, and is fuzzed alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_PHONE_H
#define LN_PHONE_H

#include <stdbool.h>
#include <stddef.h>

/* longer texts are "too long" without being looked at */
#define LN_PHONE_MAX_CHARS	250

/* digits of a national (significant) number, as in libphonenumber */
#define LN_PHONE_MAX_NSN	17

/* digits of an extension */
#define LN_PHONE_MAX_EXT	20

/* region "ZZ": only international forms can be read */
#define LN_PHONE_REGION_ZZ	255

typedef enum LnPhoneMode
{
	LN_PHONE_SAFE,				/* refuses what the text does not plainly say,
								 * rescues what people really write */
	LN_PHONE_LIBPHONENUMBER		/* what the C++ library answers */
} LnPhoneMode;

/* one answer is all a text gets: there are no transitions */
typedef enum LnPhoneStatus
{
	LN_PHONE_OK,
	LN_PHONE_NOT_A_NUMBER,
	LN_PHONE_INVALID_COUNTRY_CODE,
	LN_PHONE_TOO_SHORT,
	LN_PHONE_TOO_LONG,
	LN_PHONE_NOT_VALID,			/* well-formed, but no such number is issued */
	LN_PHONE_AMBIGUOUS,			/* from here on: refusals of safe mode */
	LN_PHONE_MASKED,
	LN_PHONE_LETTERS,
	LN_PHONE_MULTIPLE
} LnPhoneStatus;

/* libphonenumber's PhoneNumberType, same order */
typedef enum LnPhoneType
{
	LN_PHONE_FIXED_LINE,
	LN_PHONE_MOBILE,
	LN_PHONE_FIXED_LINE_OR_MOBILE,
	LN_PHONE_TOLL_FREE,
	LN_PHONE_PREMIUM_RATE,
	LN_PHONE_SHARED_COST,
	LN_PHONE_VOIP,
	LN_PHONE_PERSONAL_NUMBER,
	LN_PHONE_PAGER,
	LN_PHONE_UAN,
	LN_PHONE_VOICEMAIL,
	LN_PHONE_UNKNOWN
} LnPhoneType;

/* libphonenumber's ErrorType of Parse(), same order */
typedef enum LnPhoneParseError
{
	LN_PARSE_OK,
	LN_PARSE_INVALID_COUNTRY_CODE,
	LN_PARSE_NOT_A_NUMBER,
	LN_PARSE_TOO_SHORT_AFTER_IDD,
	LN_PARSE_TOO_SHORT_NSN,
	LN_PARSE_TOO_LONG_NSN
} LnPhoneParseError;

typedef struct LnPhone
{
	bool		valid;			/* one valid number */
	bool		parsed;			/* the fields below up to national are set,
								 * which does not mean that it is valid */
	LnPhoneStatus status;
	LnPhoneParseError parse_error;	/* of the exact core */
	LnPhoneType type;
	int			country_code;	/* 0 if not parsed */
	int			idd_len;		/* digits in the text that dial abroad ... */
	int			code_len;		/* ... and those of its calling code */
	int			e164_len;
	int			national_len;
	int			extension_len;
	int			error_position; /* first offending character, from 1; one past
								 * the end if something is missing; 0 if ok */
	const char *rule;			/* static name of the rescue or refusal, or
								 * NULL */
	char		region[4];		/* of the number; "ZZ" unknown, "001" not
								 * geographic, "" not parsed */
	char		e164[24];		/* '+' and digits, also if not valid; "" if
								 * not parsed; terminated */
	char		national[LN_PHONE_MAX_NSN + 1];
	char		extension[LN_PHONE_MAX_EXT + 1];
} LnPhone;

/*
 * The number of a region for ln_phone_parse: an ISO code in any case, or ZZ;
 * -1 if there is no such region.
 */
extern int	ln_phone_region_id(const char *region, size_t len);

/*
 * Reads a text in UTF-8 (invalid bytes are no error, only no number).  True if
 * it is one valid number; *out is always filled.  A region_id of -1 counts as
 * ZZ.
 */
extern bool ln_phone_parse(const char *utf8, size_t len, int region_id,
						   LnPhoneMode mode, LnPhone *out);

/* '+', an existing calling code and digits, nothing else */
extern bool ln_phone_is_e164(const char *e164, size_t len);

/* JP, TH or TW if LINE serves the country of this valid number, else NULL */
extern const char *ln_phone_line_country(const LnPhone *p);

extern const char *ln_phone_status_name(LnPhoneStatus status);
extern const char *ln_phone_type_name(LnPhoneType type);

/* version of the metadata in the tables, for example "9.0.43" */
extern const char *ln_phone_metadata_version(void);

#endif							/* LN_PHONE_H */
