# The parts of the script in one, with lists of columns written out.
#
#   awk -f expand.awk LIST.h ... PART.sql ...
#
# A LIST.h has a macro with the columns, one a line: KIND(name, type[, value]).
# In a part, @{WHICH FORM} stands for FORM of each column of WHICH, with commas
# between them.  WHICH is
#
#   kept|erased         the columns of these kinds (in small letters)
#   policy..            those from this one to the end of its list
#   api_base..proxy     those from one to the other
#
# In FORM, % is the name of the column, %type its type, %value its value.  And
# @{LN_NAME} stands for the number that a LIST.h defines LN_NAME as.
# It is an error if a word of WHICH is no kind or no column, if a range begins in
# two lists or does not end, if there is no such number, and if the } is not on
# the same line.

function fail(why)
{
	print FILENAME ":" FNR ": " why >"/dev/stderr"
	failed = 1
	exit 1
}

function expand(which, form,    from, to, begun, i, on, one, all)
{
	if (which ~ /\.\./)
	{
		from = which
		sub(/\.\..*/, "", from)
		to = which
		sub(/.*\.\./, "", to)
	}
	else
		for (i = split(which, part, /\|/); i > 0; i--)
			if (!(part[i] in kinds))
				fail("@{" which "}: no column is of kind " part[i])
	for (i = 1; i <= n; i++)
	{
		if (from == "")
			on = index("|" which "|", "|" kind[i] "|") > 0
		else if (name[i] == from)
		{
			on = list[i]
			begun++
		}
		else if (list[i] != on)
			on = 0
		if (!on)
			continue
		one = form
		gsub(/%type/, type[i], one)
		gsub(/%value/, value[i], one)
		gsub(/%/, name[i], one)
		all = all (all == "" ? "" : ", ") one
		if (from != "" && name[i] == to)
		{
			on = 0
			to = ""
		}
	}
	if (from != "" && begun != 1)
		fail("@{" which "} begins in " begun + 0 " lists")
	if (to != "")
		fail("@{" which "} does not end")
	return all
}

# a list
FILENAME ~ /\.h$/ {
	if ($0 ~ /^#define LN_[A-Z_]+\([A-Z_, ]+\) \\$/)
	{
		lists++
		inside = 1
	}
	else if (inside)
	{
		inside = $0 ~ /\\$/
		if ($0 !~ /^\t[A-Z_]+\([a-z_]+, [^()]+\)( \\)?$/)
			fail("not KIND(name, type[, value])")
		n++
		list[n] = lists
		line = $0
		sub(/^\t/, "", line)
		sub(/\)( \\)?$/, "", line)
		kind[n] = tolower(substr(line, 1, index(line, "(") - 1))
		kinds[kind[n]]
		split(substr(line, index(line, "(") + 1), part, /, */)
		name[n] = part[1]
		type[n] = part[2]
		value[n] = part[3]
		gsub(/"/, "'", value[n])
	}
	else if ($0 ~ /^#define LN_[A-Z_]+\t+\(?-?[0-9]+\)?$/)
	{
		number[$2] = $3
		gsub(/[()]/, "", number[$2])
	}
	next
}

# a part
{
	while (match($0, /@\{[^}]*\}/))
	{
		wish = substr($0, RSTART + 2, RLENGTH - 3)
		space = index(wish, " ")
		if (space == 0 && !(wish in number))
			fail("@{" wish "} has no form, and is no number")
		before = substr($0, 1, RSTART - 1)
		after = substr($0, RSTART + RLENGTH)
		$0 = before (space == 0 ? number[wish] : \
			expand(substr(wish, 1, space - 1), substr(wish, space + 1))) after
	}
	if (/@\{/)
		fail("@{ without }")
	print
}

END { exit failed }
