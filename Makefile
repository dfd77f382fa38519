# line_notify/Makefile
#
# make && make install     with the pg_config found in PATH, or PG_CONFIG=...
# Out of tree:             make -f /path/to/line_notify/Makefile VPATH=/path/to/line_notify
# All tests:               bash test/check.sh
#
# Lists are written out, one name per line, as in contrib: a wildcard is empty
# in an out-of-tree build, and zero tests would count as success.

MODULE_big = line_notify
EXTENSION = line_notify
PGFILEDESC = "line_notify - LINE notification messages from the database"

OBJS = \
	src/approval.o \
	src/breaker.o \
	src/builders.o \
	src/catalogue.o \
	src/channel.o \
	src/check_channel.o \
	src/counts.o \
	src/crypto.o \
	src/dedup.o \
	src/design.o \
	src/drain.o \
	src/encoding.o \
	src/enqueue.o \
	src/enqueue_trigger.o \
	src/format.o \
	src/guc.o \
	src/histogram.o \
	src/hooks.o \
	src/horizon.o \
	src/http.o \
	src/launcher.o \
	src/line_api.o \
	src/line_notify.o \
	src/message_check.o \
	src/message_funcs.o \
	src/outbox.o \
	src/phone.o \
	src/phone_funcs.o \
	src/policy.o \
	src/quiet.o \
	src/recheck.o \
	src/release.o \
	src/retry.o \
	src/sample.o \
	src/shmem.o \
	src/signed_link.o \
	src/soft_input.o \
	src/sounding.o \
	src/states.o \
	src/stats.o \
	src/suppression.o \
	src/token.o \
	src/token_api.o \
	src/token_bucket.o \
	src/totals.o \
	src/use_case.o \
	src/wait.o \
	src/wakeup.o \
	src/webhook.o \
	src/webhook_body.o \
	src/window.o \
	src/witness.o \
	src/worker.o \
	src/worker_chores.o \
	src/worker_claim.o \
	src/worker_phase.o \
	src/worker_process.o \
	src/worker_record.o \
	src/worker_rescue.o \
	src/worker_send.o \

DATA = \
	sql/line_notify--1.0.sql \

REGRESS = \
	approvals \
	builders \
	catalogue \
	channel \
	duties \
	enqueue_trigger \
	health \
	flow \
	install \
	message_check \
	outbox \
	outcomes \
	phone \
	phone_encoding \
	phone_safe \
	refusals \
	signed_link \
	uninstall \
	use_case \
	verbs \
	webhook \

ISOLATION = \
	dedup \
	order_key \
	outcomes_sessions \
	verbs_claims \

# pg_regress looks into ./sql before test/sql, so every file in sql/ has "--" in
# its name; what must come out stands in ./expected.  pg_isolation_regress looks
# for that beside the specs: test/expected is a symbolic link.
REGRESS_OPTS = --inputdir=$(srcdir)/test --encoding=UTF8
ISOLATION_OPTS = --inputdir=$(srcdir)/test

PG_CPPFLAGS = -I$(srcdir)/src $(shell curl-config --cflags 2>/dev/null)
SHLIB_LINK = -lcurl -lssl -lcrypto

# an out-of-tree build has no src directory yet
$(shell mkdir -p src)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Header dependencies: PGXS has none of its own for extensions.  Coarse, but a
# struct that two files see differently crashes the server.
$(OBJS): $(wildcard $(srcdir)/src/*.h)
# Header dependencies: PGXS has none of its own for extensions.
$(OBJS): src/compat.h
src/crypto.o: src/crypto.h
src/builders.o: src/message_funcs.h src/message_check.h src/message_rules.h src/json_tree.h
src/catalogue.o: src/catalogue_data.h src/encoding.h
src/phone.o: src/phone.h src/phone_tables.h src/phone_unicode.h
src/phone_funcs.o: src/crypto.h src/phone.h src/phone_funcs.h
src/encoding.o: src/encoding.h
src/format.o: src/format_data.h src/encoding.h
src/message_check.o: src/message_check.h src/message_rules.h src/json_tree.h
src/message_funcs.o: src/message_funcs.h src/message_check.h src/message_rules.h src/json_tree.h src/encoding.h
src/signed_link.o: src/crypto.h src/encoding.h
src/use_case.o: src/use_case.h src/use_case_data.h src/encoding.h
src/http.o: src/http.h
src/line_api.o: src/line_api.h src/http.h
src/retry.o: src/retry.h
src/token_bucket.o: src/token_bucket.h

# Numbering tables, from the pinned release of the metadata.  A change can
# change what immutable functions return: it needs a release note.
PHONE_METADATA = libphonenumber-js@1.13.16

.PHONY: update-phone-metadata
update-phone-metadata:
	dir=`mktemp -d` && \
	(cd "$$dir" && npm pack --silent $(PHONE_METADATA) && tar -xzf *.tgz) && \
	python3 $(srcdir)/src/gen_phone_tables.py js "$$dir/package" > "$$dir/phone_tables.h" && \
	cp "$$dir/phone_tables.h" $(srcdir)/src/phone_tables.h && \
	rm -r "$$dir"

# The archives of a release, .zip for PGXN and .tar.gz for packagers: what is
# committed, under the version of META.json; the same bytes wherever they are made.
DISTNAME = line_notify-$(shell sed -n 's/^   "version": "\(.*\)",/\1/p' $(srcdir)/META.json)

.PHONY: dist
dist:
	TZ=UTC git -C $(srcdir) archive --format=zip --prefix=$(DISTNAME)/ -o $(CURDIR)/$(DISTNAME).zip HEAD
	git -C $(srcdir) -c tar.umask=0022 archive --format=tar --prefix=$(DISTNAME)/ HEAD | gzip -9n > $(CURDIR)/$(DISTNAME).tar.gz
