/*-------------------------------------------------------------------------
 *
 * phone_clean.c
 *		A text made easy, for safe mode.
 *
 * What each character is to somebody who looks for a number in a cell, and the
 * text with separators of every kind replaced by ones that the core knows.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>

#include "phone/phone_internal.h"

/* Lower-case ASCII of Latin letters, full-width ones too. */
uint32_t
ln_phone_latin(uint32_t c)
{
	c = ln_phone_fold(c);
	return c >= 0xFF41 && c <= 0xFF5A ? c - 0xFF41 + 'a' : c;
}

static bool
is_asian(uint32_t c)
{
	return (c >= 0x0E00 && c <= 0x0E7F) ||	/* Thai */
		(c >= 0x1100 && c <= 0x11FF) || /* Hangul */
		(c >= 0x3005 && c <= 0x3007) ||
		(c >= 0x3040 && c <= 0x318F) || /* kana, bopomofo, Hangul */
		(c >= 0x31A0 && c <= 0x31BF) ||
		(c >= 0x31F0 && c <= 0x31FF) ||
		(c >= 0x3400 && c <= 0x9FFF) || /* Han */
		(c >= 0xAC00 && c <= 0xD7A3) ||
		(c >= 0xF900 && c <= 0xFAFF) ||
		(c >= 0xFF66 && c <= 0xFFDC) || /* half-width kana, Hangul */
		(c >= 0x20000 && c <= 0x3FFFF);
}

/* of a character that is neither a digit nor ASCII */
static Kind
kind_of(uint32_t c)
{
	switch (c)
	{
		case 0xFF0B:
			return K_PLUS;
		case 0x00AF:			/* macron */
		case 0x02D7:
		case 0x058A:
		case 0x05BE:
		case 0x1400:
		case 0x1806:
		case 0x2010:
		case 0x2011:
		case 0x2012:
		case 0x2013:
		case 0x2014:
		case 0x2015:
		case 0x203E:
		case 0x2043:
		case 0x2053:
		case 0x207B:
		case 0x208B:
		case 0x2212:
		case 0x223C:
		case 0x23AF:
		case 0x2500:			/* box drawing */
		case 0x2501:
		case 0x2796:
		case 0x2E17:
		case 0x2E1A:
		case 0x2E3A:
		case 0x2E3B:
		case 0x2E40:
		case 0x2E5D:
		case 0x301C:			/* wave dash */
		case 0x3030:
		case 0x30A0:
		case 0x30FC:			/* long vowel marks */
		case 0xFE31:
		case 0xFE32:
		case 0xFE58:
		case 0xFE63:
		case 0xFF0D:
		case 0xFF5E:
		case 0xFF70:
		case 0xFFE3:
			return K_DASH;
		case 0x2024:
		case 0x3002:
		case 0xFE52:
		case 0xFF0E:
		case 0xFF61:
			return K_DOT;
		case 0x2044:
		case 0x2215:
		case 0xFF0F:
			return K_SLASH;
		case 0x0085:
		case 0x00A0:
		case 0x1680:
		case 0x2028:
		case 0x2029:
		case 0x202F:
		case 0x205F:
		case 0x2800:
		case 0x3000:
			return K_SPACE;
		case 0x2768:
		case 0x300A:
		case 0x300C:
		case 0x300E:
		case 0x3008:
		case 0x3010:
		case 0x3014:
		case 0x3016:
		case 0x3018:
		case 0xFE59:
		case 0xFF08:
		case 0xFF1C:
		case 0xFF3B:
		case 0xFF5B:
		case 0xFF62:
			return K_OPEN;
		case 0x2769:
		case 0x300B:
		case 0x300D:
		case 0x300F:
		case 0x3009:
		case 0x3011:
		case 0x3015:
		case 0x3017:
		case 0x3019:
		case 0xFE5A:
		case 0xFF09:
		case 0xFF1E:
		case 0xFF3D:
		case 0xFF5D:
		case 0xFF63:
			return K_CLOSE;
		case 0x00B7:
		case 0x0387:
		case 0x2017:
		case 0x203F:
		case 0x2022:
		case 0x2027:
		case 0x2219:
		case 0x22C5:
		case 0x30FB:
		case 0xFE33:
		case 0xFE34:
		case 0xFE4D:
		case 0xFE4E:
		case 0xFE4F:
		case 0xFF3F:
		case 0xFF65:
			return K_FILL;
		case 0x00AD:			/* soft hyphen */
		case 0x034F:
		case 0x061C:
		case 0x115F:			/* Hangul fillers */
		case 0x1160:
		case 0x17B4:
		case 0x17B5:
		case 0x180E:
		case 0x20E3:			/* the frame of a keycap */
		case 0x3164:
		case 0xFEFF:
		case 0xFFA0:
			return K_INVISIBLE;
		case 0x00D7:			/* multiplication signs */
		case 0x2026:			/* ellipses */
		case 0x204E:
		case 0x2217:
		case 0x22EF:
		case 0x2573:
		case 0x25A0:			/* squares, circles and the like */
		case 0x25A1:
		case 0x25B2:
		case 0x25B3:
		case 0x25BC:
		case 0x25BD:
		case 0x25C6:
		case 0x25C7:
		case 0x25CB:
		case 0x25CE:
		case 0x25CF:
		case 0x25EF:
		case 0x25FB:
		case 0x25FC:
		case 0x25FD:
		case 0x25FE:
		case 0x2605:
		case 0x2606:
		case 0x2613:
		case 0x26AA:
		case 0x26AB:
		case 0x2715:
		case 0x2716:
		case 0x2731:
		case 0x274C:
		case 0x2753:
		case 0x2754:
		case 0x2A2F:
		case 0x2B1B:
		case 0x2B1C:
		case 0x2B24:
		case 0x2B55:
		case 0xFE56:
		case 0xFE61:
		case 0x1F534:
		case 0x1F535:
		case 0xFF0A:
		case 0xFF1F:
			return K_MASK;
		case 0xFF03:
			return K_HASH;
		default:
			break;
	}
	if (ln_phone_is_han_numeral(c))
		return K_NUMERAL;
	if (is_asian(c))
		return K_ASIAN;
	if (c >= 0x2000 && c <= 0x200A)
		return K_SPACE;
	if ((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
		(c >= 0x2060 && c <= 0x206F) || (c >= 0xFE00 && c <= 0xFE0F) ||
		(c >= 0xE0000 && c <= 0xE0FFF))
		return K_INVISIBLE;
	if (!ln_phone_is_word(c))
		return K_OTHER;
	if (ln_phone_latin(c) < 0x80)
		return K_LATIN;
	if ((c >= 0x00B2 && c <= 0x00BE) || (c >= 0x2070 && c <= 0x218B) ||
		(c >= 0x2460 && c <= 0x249B) || (c >= 0x24EA && c <= 0x24FF) ||
		(c >= 0x2776 && c <= 0x2793) || (c >= 0x3021 && c <= 0x3029) ||
		(c >= 0x3220 && c <= 0x3229) || (c >= 0x3280 && c <= 0x3289))
		return K_NUMERAL;
	return K_LETTER;
}

/* the same for ASCII */
#define OO K_OTHER
#define SP K_SPACE
#define LL K_LATIN
#define DD K_DIGIT

static const uint8_t ascii_kind[128] = {
	OO, OO, OO, OO, OO, OO, OO, OO, OO, SP,
	SP, SP, SP, SP, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, SP, OO, OO, K_HASH, OO, OO, OO, OO,
	K_OPEN, K_CLOSE, K_MASK, K_PLUS, OO, K_DASH, K_DOT, K_SLASH, DD, DD,
	DD, DD, DD, DD, DD, DD, DD, DD, OO, OO,
	K_OPEN, OO, K_CLOSE, K_MASK, OO, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, K_OPEN, OO, K_CLOSE, OO, K_FILL, OO, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
LL, LL, LL, K_OPEN, OO, K_CLOSE, K_DASH, OO};

#undef OO
#undef SP
#undef LL
#undef DD

bool
ln_phone_is_gap(Kind k)
{
	return k == K_DASH || k == K_DOT || k == K_SLASH || k == K_SPACE ||
		k == K_OPEN || k == K_CLOSE || k == K_FILL || k == K_PLUS;
}

void
ln_phone_clean_text(const Text *input, Clean *clean)
{
	int			n = 0;
	int			i;

	clean->first_change = -1;
	clean->n_digits = 0;
	clean->first_digit = -1;
	clean->last_digit = -1;
	clean->dots = 0;
	clean->percent = false;
	clean->suspicious = false;
	for (i = 0; i < input->n; i++)
	{
		uint32_t	c = input->c[i];
		uint8_t		k = input->k[i];
		Kind		kind = IS_DIGIT(k) ? K_DIGIT :
		c < 0x80 ? (Kind) ascii_kind[c] : kind_of(c);

		if (kind == K_INVISIBLE)
		{
			if (clean->first_change < 0)
				clean->first_change = n;
			continue;
		}
		if (k != C_SEPARATOR || kind == K_DASH)
		{
			uint32_t	plain = c;

			switch (kind)
			{
				case K_DASH:
					/* a tilde can announce an extension, a dash cannot */
					if (k != C_SEPARATOR || c == '~' || c == 0x2053 ||
						c == 0x223C)
						plain = '-';
					break;
				case K_FILL:
					plain = '-';
					break;
				case K_DOT:
					plain = '.';
					break;
				case K_SLASH:
					plain = '/';
					break;
				case K_SPACE:
					plain = ' ';
					break;
				case K_OPEN:
					plain = '(';
					break;
				case K_CLOSE:
					plain = ')';
					break;
				default:
					break;
			}
			if (plain != c)
			{
				c = plain;
				k = C_SEPARATOR;
			}
		}
		if (c != input->c[i] && clean->first_change < 0)
			clean->first_change = n;
		if (kind == K_DIGIT)
		{
			if (clean->first_digit < 0)
				clean->first_digit = n;
			clean->last_digit = n;
			clean->n_digits++;
		}
		else if (kind == K_DOT)
			clean->dots++;
		else if (kind == K_MASK || kind == K_HASH || kind == K_FILL ||
				 kind == K_LATIN)
			clean->suspicious = true;
		else if (c == '%')
			clean->percent = true;
		clean->c[n] = c;
		clean->k[n] = k;
		clean->at[n] = input->at[i];
		clean->kind[n] = (uint8_t) kind;
		n++;
	}
	if (clean->first_change < 0)
		clean->first_change = n;
	clean->easy.c = clean->c;
	clean->easy.k = clean->k;
	clean->easy.at = clean->at;
	clean->easy.n = n;
	clean->easy.end = input->end;
}
