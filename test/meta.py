#!/usr/bin/env python3
"""META.json by the PGXN Meta Spec 1.0.0 (https://pgxn.org/spec/).

Debian packages no validator of that specification, so here are its rules: the
fields, which of them must be there, and what each may hold.  Beyond it, files
that are named must exist, or be built by make.  Prints one line per fault; none, exit status 0.

    python3 test/meta.py [META.json]
"""

import json
import os
import re
import sys

# semantic versions: three numbers without leading zeros, then a
# pre-release of letters, digits and "-" that begins with a letter
VERSION = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-?[a-zA-Z][-0-9A-Za-z]*)?")
RANGE = re.compile(r"(==|!=|<=|>=|<|>)?\s*(" + VERSION.pattern + r"|0)")
LICENSES = set("""
    agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2
    gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1
    openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted
    unrestricted unknown""".split())

# files that make builds until they are released, when they are committed
BUILT = {"sql/line_notify--1.0.sql"}

faults = []


def fault(path, text):
    faults.append("%s: %s" % (path or "META.json", text))


def matcher(regex, what):
    regex = re.compile(regex) if isinstance(regex, str) else regex

    def check(value, path):
        if not isinstance(value, str) or not regex.fullmatch(value):
            fault(path, "%s is not %s" % (json.dumps(value, ensure_ascii=False), what))
    return check


string = matcher(r"(?s).+", "a string with something in it")
term = matcher(r"[^\s/\\\x00-\x1f\x7f]{2,}", 'a name: two characters or more, no space, "/" or "\\"')
tag = matcher(r"[^/\\\x00-\x1f\x7f]{1,256}", 'a tag: at most 256 characters, no "/" or "\\"')
version = matcher(VERSION, "a semantic version")
url = matcher(r"[A-Za-z][-+.A-Za-z0-9]*://[^/?#\s]+\S*", "a URL")
email = matcher(r"[^@\s]+@[^@\s]+", "an e-mail address")
lower = matcher(r"[^A-Z]+", "in lower case")
status = matcher(r"stable|testing|unstable", "stable, testing or unstable")
license_name = matcher("|".join(sorted(LICENSES)), "a license that the specification knows")


def ranges(value, path):
    for part in value.split(",") if isinstance(value, str) else [None]:
        if part is None or not RANGE.fullmatch(part.strip()):
            fault(path, "%s is not a range of versions" % json.dumps(value))


def file(value, path):
    string(value, path)
    if value in BUILT:
        return
    if isinstance(value, str) and not os.path.isfile(os.path.join(directory, value)):
        fault(path, "there is no file %s" % value)


def one_or_list(check):
    def checker(value, path):
        if isinstance(value, list):
            if not value:
                fault(path, "is an empty list")
            for i, x in enumerate(value):
                check(x, "%s[%d]" % (path, i))
        else:
            check(value, path)
    return checker


def mapping(fields, required=(), keys=None, values=None):
    """An object with these fields, more of them if keys and values allow; x_ is for everybody."""
    def checker(value, path):
        if not isinstance(value, dict):
            fault(path, "is not an object")
            return
        for name in required:
            if name not in value:
                fault(path, "field %s is missing" % name)
        for name, x in value.items():
            here = "%s.%s" % (path, name) if path else name
            if name in fields:
                fields[name](x, here)
            elif re.fullmatch(r"[xX]_[-_a-zA-Z]*", name):
                pass
            elif keys is not None:
                keys(name, here)
                values(x, here)
            else:
                fault(here, "is no field of the specification")
    return checker


def any_license(value, path):
    if isinstance(value, dict):
        mapping({}, keys=string, values=url)(value, path)
    else:
        one_or_list(license_name)(value, path)


relations = mapping({x: mapping({}, keys=term, values=ranges)
                     for x in ("requires", "recommends", "suggests", "conflicts")})
meta = mapping({
    "name": term,
    "abstract": string,
    "description": string,
    "version": version,
    "maintainer": one_or_list(string),
    "license": any_license,
    "provides": mapping({}, keys=term, values=mapping(
        {"file": file, "version": version, "abstract": string, "docfile": file},
        required=("file", "version"))),
    "meta-spec": mapping({"version": matcher(r"1\.0\.0", "a known version"), "url": url}, required=("version",)),
    "generated_by": string,
    "release_status": status,
    "tags": one_or_list(tag),
    "no_index": mapping({"file": one_or_list(string), "directory": one_or_list(string)}),
    "prereqs": mapping({x: relations for x in ("configure", "build", "test", "runtime", "develop")}),
    "resources": mapping({
        "homepage": url,
        "license": one_or_list(url),
        "bugtracker": mapping({"web": url, "mailto": email}),
        "repository": mapping({"url": url, "web": url, "type": lower}),
    }),
}, required=("name", "abstract", "version", "maintainer", "license", "provides", "meta-spec"))

name = sys.argv[1] if len(sys.argv) > 1 else "META.json"
directory = os.path.dirname(os.path.abspath(name))
try:
    with open(name, encoding="utf-8") as f:
        meta(json.load(f), "")
except (OSError, ValueError) as e:
    fault("", str(e))
for line in faults:
    print(line)
sys.exit(1 if faults else 0)
