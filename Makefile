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
	src/guc.o \
	src/line_notify.o \
	src/base/agenda.o \
	src/base/breaker.o \
	src/base/crypto.o \
	src/base/gate.o \
	src/base/histogram.o \
	src/base/horizon.o \
	src/base/lane.o \
	src/base/name.o \
	src/base/quiet.o \
	src/base/retry.o \
	src/base/sample.o \
	src/base/token_bucket.o \
	src/base/token_timer.o \
	src/base/traceparent.o \
	src/base/window.o \
	src/content/approval.o \
	src/content/builders.o \
	src/content/catalogue.o \
	src/content/check_common.o \
	src/content/design.o \
	src/content/encoding.o \
	src/content/flexible_check.o \
	src/content/format.o \
	src/content/message_check.o \
	src/content/message_funcs.o \
	src/content/signed_link.o \
	src/content/use_case.o \
	src/db/dedup.o \
	src/db/message_id.o \
	src/db/outbox_channel.o \
	src/db/outbox_claim.o \
	src/db/outbox_maintain.o \
	src/db/outbox_record.o \
	src/db/outbox_unblock.o \
	src/db/outbox_webhook.o \
	src/db/policy.o \
	src/db/quiet_time.o \
	src/db/soft_input.o \
	src/db/sql.o \
	src/db/suppression.o \
	src/db/trace.o \
	src/enqueue/enqueue_trigger.o \
	src/enqueue/insert_trigger.o \
	src/enqueue/messages_view.o \
	src/funcs/caller.o \
	src/funcs/check_channel.o \
	src/funcs/drain.o \
	src/funcs/health.o \
	src/funcs/insert_secret.o \
	src/funcs/shown.o \
	src/funcs/states.o \
	src/funcs/stats.o \
	src/funcs/totals.o \
	src/funcs/unblock_trigger.o \
	src/funcs/wait.o \
	src/funcs/waiting_reasons.o \
	src/funcs/webhook.o \
	src/http/http.o \
	src/http/http1.o \
	src/http/http_conn.o \
	src/http/http_origin.o \
	src/http/http_pool.o \
	src/http/http_transfer.o \
	src/line/line_api.o \
	src/line/token_api.o \
	src/line/webhook_body.o \
	src/phone/phone.o \
	src/phone/phone_clean.o \
	src/phone/phone_exact.o \
	src/phone/phone_funcs.o \
	src/phone/phone_safe.o \
	src/server/clock.o \
	src/server/hooks.o \
	src/server/identity.o \
	src/server/launcher.o \
	src/server/shmem.o \
	src/server/wakeup.o \
	src/worker/channel.o \
	src/worker/claim.o \
	src/worker/credential_check.o \
	src/worker/delivery.o \
	src/worker/facts.o \
	src/worker/line_statistics.o \
	src/worker/phase.o \
	src/worker/probe.o \
	src/worker/process.o \
	src/worker/questions.o \
	src/worker/record.o \
	src/worker/rescue.o \
	src/worker/secret.o \
	src/worker/send.o \
	src/worker/send_journal.o \
	src/worker/tasks.o \
	src/worker/token.o \
	src/worker/token_request.o \
	src/worker/worker.o \

# The script of a version is put together from its parts until it is released.
# Then it is committed and moves to DATA: make clean deletes what is built.
DATA_built = sql/line_notify--1.0.sql

SQL_PARTS = \
	sql/parts/00_schema.sql \
	sql/parts/10_phone.sql \
	sql/parts/11_use_case.sql \
	sql/parts/20_content_rules.sql \
	sql/parts/21_builders.sql \
	sql/parts/22_catalogue.sql \
	sql/parts/23_signed_link.sql \
	sql/parts/30_channel.sql \
	sql/parts/31_sender.sql \
	sql/parts/32_approval.sql \
	sql/parts/40_outbox.sql \
	sql/parts/41_history.sql \
	sql/parts/42_partitions.sql \
	sql/parts/43_insert.sql \
	sql/parts/44_set_aside.sql \
	sql/parts/44_waiting_reasons.sql \
	sql/parts/50_statistics.sql \
	sql/parts/51_notifications.sql \
	sql/parts/52_webhook.sql \
	sql/parts/53_totals.sql \
	sql/parts/54_delivery_timeout.sql \
	sql/parts/55_line_statistics.sql \
	sql/parts/56_summing_up.sql \
	sql/parts/60_health.sql \
	sql/parts/70_operator_functions.sql \
	sql/parts/71_outcomes.sql \
	sql/parts/72_wait_and_drain.sql \
	sql/parts/73_messages.sql \
	sql/parts/80_roles.sql \
	sql/parts/81_privacy.sql \
	sql/parts/90_dump.sql \
	sql/parts/95_column_comments.sql \
	sql/parts/99_start.sql \

REGRESS = \
	approvals \
	builders \
	catalogue \
	channel \
	consumers \
	content_warnings \
	enqueue_trigger \
	flow \
	health \
	install \
	message_check \
	messages \
	operator_functions \
	outbox \
	outcomes \
	phone \
	phone_encoding \
	phone_safe \
	refusals \
	roles \
	signed_link \
	traceparent \
	uninstall \
	use_case \
	webhook \

ISOLATION = \
	dedup \
	operator_claims \
	order_key \
	outcomes_sessions \

# pg_regress looks into ./sql before test/sql, so every file in sql/ has "--" in
# its name; what must come out stands in ./expected.  pg_isolation_regress looks
# for that beside the specs: test/expected is a symbolic link.
REGRESS_OPTS = --inputdir=$(srcdir)/test --encoding=UTF8
ISOLATION_OPTS = --inputdir=$(srcdir)/test

PG_CPPFLAGS = -I$(srcdir)/src $(shell curl-config --cflags 2>/dev/null)
SHLIB_LINK = -lcurl -lssl -lcrypto

# an out-of-tree build has no directories yet
$(shell mkdir -p $(sort $(dir $(OBJS))))

# Which headers an object is made from is written down beside it, by the compiler
# that made it.  Not in CPPFLAGS: clang, which makes the .bc, would write the same
# file for another target.
override PG_CFLAGS += -MMD -MP
EXTRA_CLEAN = $(OBJS:.o=.d)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# lists of columns that the parts have in common with C
SQL_LISTS = \
	src/db/channel_settings.h \
	src/db/message_columns.h \

sql/line_notify--1.0.sql: $(addprefix $(srcdir)/,sql/parts/expand.awk $(SQL_LISTS) $(SQL_PARTS))
	mkdir -p sql
	LC_ALL=C awk -f $^ > $@ || { rm -f $@; exit 1; }

-include $(OBJS:.o=.d)
$(OBJS:.o=.bc): %.bc: %.o

# Numbering tables, from the pinned release of the metadata.  A change can
# change what immutable functions return: it needs a release note.
PHONE_METADATA = libphonenumber-js@1.13.16

.PHONY: update-phone-metadata
update-phone-metadata:
	dir=`mktemp -d` && \
	(cd "$$dir" && npm pack --silent $(PHONE_METADATA) && tar -xzf *.tgz) && \
	python3 $(srcdir)/src/phone/gen_phone_tables.py js "$$dir/package" > "$$dir/phone_tables.h" && \
	cp "$$dir/phone_tables.h" $(srcdir)/src/phone/phone_tables.h && \
	rm -r "$$dir"

# The archives of a release, .zip for PGXN and .tar.gz for packagers: what is
# committed, under the version of META.json; the same bytes wherever they are made.
DISTNAME = line_notify-$(shell sed -n 's/^   "version": "\(.*\)",/\1/p' $(srcdir)/META.json)

.PHONY: dist
dist:
	TZ=UTC git -C $(srcdir) archive --format=zip --prefix=$(DISTNAME)/ -o $(CURDIR)/$(DISTNAME).zip HEAD
	git -C $(srcdir) -c tar.umask=0022 archive --format=tar --prefix=$(DISTNAME)/ HEAD | gzip -9n > $(CURDIR)/$(DISTNAME).tar.gz
