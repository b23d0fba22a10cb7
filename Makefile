# Makefile of Fusegate. `make help` lists what it can do; everything it makes lies under build/.
#
# Sources are found by wildcard: adding a file is enough. Variables: CC, CFLAGS, LDFLAGS, WARNINGS, BUILD,
# SANITIZE=address|thread|undefined|address,undefined (builds into build/<sanitizer>), V=1 (show commands),
# PREFIX, DESTDIR, LIBDIR (install), ARGS (make run).

ifeq ($(origin CC),default)
CC := gcc
endif
comma := ,
SANITIZE ?=
BUILD ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
CFLAGS ?= -O2 -g
WARNINGS ?= -Wall -Wextra -Werror
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
VERSION := $(shell sed -n 's/^.define DM_VERSION "\(.*\)"/\1/p' libdm/dm.h)
SONAME := libdm.so.0
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
ARGS ?=
SEEDS ?= 2000

ifneq ($(SANITIZE),)
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
COMPILE := -std=gnu17 $(CFLAGS) $(WARNINGS) -fPIC -fvisibility=hidden -pthread $(SANITIZE_FLAGS)
LINK := $(CFLAGS) -pthread $(SANITIZE_FLAGS) -Wl,--as-needed $(LDFLAGS)

ifeq ($(V),1)
Q :=
SAY = @:
else
Q := @
SAY = @printf '  %-7s %s\n'
endif

# ---- Sources --------------------------------------------------------------------------------------------------------

LIBDM_SRC := $(sort $(wildcard libdm/*.c libdm/*/*.c libdm/*/*.S))
GATEWAY_SRC := $(sort $(wildcard gateway/*.c))
MEMSERVER_SRC := $(sort $(wildcard memserver/*.c))
CTL_SRC := $(sort $(wildcard ctl/*.c))
COORDINATOR_SRC := $(sort $(wildcard coordinator/*.c))
COMMON_SRC := $(sort $(wildcard tests/common/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_SHARED_SRC := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
# Programs made of all the sources of one folder: build/sim, build/model, build/explore (and of another's).
WHOLE := $(filter sim model explore,$(notdir $(patsubst %/,%,$(dir $(wildcard tests/*/main.c)))))
WHOLE_SRC := $(foreach folder,$(WHOLE),$(sort $(wildcard tests/$(folder)/*.c)))
PROGRAM_SRC := $(filter-out $(COMMON_SRC) tests/unit/% tests/sim/% tests/model/% tests/fuzz/% \
	tests/explore/%,$(sort $(wildcard tests/*/*.c))) \
	$(sort $(wildcard bench/*.c))
# Fuzzers: built by tests/fuzz/run, with clang.
FUZZ_SHARED := tests/fuzz/fuzz.c tests/fuzz/gateway_process.c tests/fuzz/grammar.c
FUZZ_SRC := $(filter-out $(FUZZ_SHARED),$(sort $(wildcard tests/fuzz/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))

objects = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(1)))
LIBDM_OBJ := $(call objects,$(LIBDM_SRC))
GATEWAY_OBJ := $(call objects,$(filter-out gateway/main.c,$(GATEWAY_SRC)))
MEMSERVER_OBJ := $(call objects,$(filter-out memserver/main.c,$(MEMSERVER_SRC)))
CTL_OBJ := $(call objects,$(CTL_SRC))
COORDINATOR_OBJ := $(call objects,$(filter-out coordinator/main.c,$(COORDINATOR_SRC)))
COMMON_OBJ := $(call objects,$(COMMON_SRC))
UNIT_SHARED_OBJ := $(call objects,$(UNIT_SHARED_SRC))
ALL_OBJ := $(call objects,$(LIBDM_SRC) $(GATEWAY_SRC) $(MEMSERVER_SRC) $(CTL_SRC) $(COORDINATOR_SRC) \
	$(COMMON_SRC) $(UNIT_SRC) $(UNIT_SHARED_SRC) $(PROGRAM_SRC) $(WHOLE_SRC) $(FUZZ_SHARED) $(FUZZ_SRC))

LIBDM_LIBS := -lrdmacm -libverbs -lcrypto -lisal -lxxhash -lm
GATEWAY_LIBS := -levent -levent_pthreads -linih -lnuma -lssl -lcurl -ljson-c -lcrypto
MEMSERVER_LIBS := -linih -lnuma
CTL_LIBS := -linih -ljson-c
COORDINATOR_LIBS := -linih -lcurl -ljson-c

PRODUCT := $(BUILD)/libdm.a $(BUILD)/libdm.so \
	$(if $(filter gateway/main.c,$(GATEWAY_SRC)),$(BUILD)/fusegate) \
	$(if $(filter memserver/main.c,$(MEMSERVER_SRC)),$(BUILD)/fusegate-memserver) \
	$(if $(filter ctl/main.c,$(CTL_SRC)),$(BUILD)/fusegate-ctl) \
	$(if $(filter coordinator/main.c,$(COORDINATOR_SRC)),$(BUILD)/fusegate-coordinator)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
PROGRAMS := $(patsubst %.c,$(BUILD)/tests/%,$(PROGRAM_SRC:tests/%=%))
ARCHIVES := $(BUILD)/gateway.a $(BUILD)/coordinator.a $(BUILD)/memserver.a $(BUILD)/libdm.a

# A test links the layers whose headers it includes, so that one layer can be tested while another does not compile.
empty :=
space := $(empty) $(empty)
users = $(shell grep -lE '^\#include "($(subst $(space),|,$(strip $(notdir $(wildcard $(1)/*.h)))))"' \
	/dev/null $(UNIT_SRC) $(UNIT_SHARED_SRC) $(COMMON_SRC) $(PROGRAM_SRC))
COORDINATOR_USERS := $(call users,coordinator)
GATEWAY_USERS := $(COORDINATOR_USERS) $(call users,gateway)
MEMSERVER_USERS := $(GATEWAY_USERS) $(call users,memserver)
archives_of = $(if $(filter $(1),$(GATEWAY_USERS)),$(BUILD)/gateway.a $(BUILD)/coordinator.a) \
	$(if $(filter $(1),$(MEMSERVER_USERS)),$(BUILD)/memserver.a) $(BUILD)/libdm.a
# Unit tests may run over RDMA, and serve the memory themselves then.
unit_archives_of = $(if $(filter $(1),$(GATEWAY_USERS)),$(BUILD)/gateway.a $(BUILD)/coordinator.a) \
	$(BUILD)/memserver.a $(BUILD)/libdm.a

.PHONY: all unit tests fuzzers run test sim model explore fuzz rdma-test test-all bench install uninstall clean
.PHONY: format help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PRODUCT)
unit: $(UNIT)
tests: $(UNIT) $(PROGRAMS) $(WHOLE:%=$(BUILD)/%)

# ---- Compile and link -----------------------------------------------------------------------------------------------

# Changed flags rebuild all, a changed set of files only what is made of sets.
$(BUILD)/.flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(COMPILE) $(LINK)' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS) $(COMPILE) $(LINK)' > $@
$(BUILD)/.sources: FORCE
	@mkdir -p $(@D); echo '$(ALL_OBJ)' | cmp -s - $@ || echo '$(ALL_OBJ)' > $@

# What a folder may include is the layering: libdm sees only itself. (-iquote: libdm/assert.h is not <assert.h>.)
$(BUILD)/obj/libdm/%.o: INCLUDES := -iquote libdm
$(BUILD)/obj/memserver/%.o: INCLUDES := -iquote memserver -iquote libdm
$(BUILD)/obj/gateway/%.o: INCLUDES := -iquote gateway -iquote coordinator -iquote memserver -iquote libdm
$(BUILD)/obj/ctl/%.o: INCLUDES := -iquote ctl -iquote gateway -iquote memserver -iquote libdm
$(BUILD)/obj/coordinator/%.o: INCLUDES := -iquote coordinator -iquote gateway -iquote memserver -iquote libdm
$(BUILD)/obj/tests/%.o: INCLUDES := -iquote tests/common -iquote coordinator -iquote gateway -iquote memserver \
	-iquote libdm
$(BUILD)/obj/bench/%.o: INCLUDES := -iquote tests/common -iquote gateway -iquote memserver -iquote libdm

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	$(SAY) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(INCLUDES) $(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.S $(BUILD)/.flags
	$(SAY) AS $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(INCLUDES) $(COMPILE) -MMD -MP -c -o $@ $<

-include $(ALL_OBJ:.o=.d)

$(BUILD)/libdm.a: $(LIBDM_OBJ)
$(BUILD)/gateway.a: $(GATEWAY_OBJ)
$(BUILD)/memserver.a: $(MEMSERVER_OBJ)
$(BUILD)/coordinator.a: $(COORDINATOR_OBJ)
$(BUILD)/tests/common.a: $(COMMON_OBJ)
$(BUILD)/unit/shared.a: $(UNIT_SHARED_OBJ)
$(BUILD)/%.a: $(BUILD)/.sources
	$(SAY) AR $@
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

$(BUILD)/libdm.so: $(LIBDM_OBJ) libdm/libdm.map $(BUILD)/.sources
	$(SAY) LINK $@
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=libdm/libdm.map -o $@ $(LINK) $(LIBDM_OBJ) $(LIBDM_LIBS)

$(BUILD)/fusegate: $(BUILD)/obj/gateway/main.o $(ARCHIVES)
	$(SAY) LINK $@
	$(Q)$(CC) -o $@ $(LINK) $^ $(GATEWAY_LIBS) $(LIBDM_LIBS)

$(BUILD)/fusegate-memserver: $(BUILD)/obj/memserver/main.o $(BUILD)/memserver.a $(BUILD)/libdm.a
	$(SAY) LINK $@
	$(Q)$(CC) -o $@ $(LINK) $^ $(MEMSERVER_LIBS) $(LIBDM_LIBS)

$(BUILD)/fusegate-ctl: $(CTL_OBJ) $(ARCHIVES)
	$(SAY) LINK $@
	$(Q)$(CC) -o $@ $(LINK) $^ $(CTL_LIBS) $(LIBDM_LIBS)

# What a coordinator needs of a gateway, and a gateway of a coordinator, is not the same.
$(BUILD)/fusegate-coordinator: $(BUILD)/obj/coordinator/main.o $(COORDINATOR_OBJ) $(ARCHIVES)
	$(SAY) LINK $@
	$(Q)$(CC) -o $@ $(LINK) $^ $(COORDINATOR_LIBS) $(LIBDM_LIBS)

define unit_program
$(BUILD)/unit/$(1:tests/unit/%.c=%): $(BUILD)/obj/$(1:.c=.o) $(BUILD)/unit/shared.a $(call unit_archives_of,$(1))
	$$(SAY) LINK $$@
	$$(Q)$$(CC) -o $$@ $$(LINK) $$^ $$(GATEWAY_LIBS) $$(LIBDM_LIBS) -lcmocka
endef
$(foreach source,$(UNIT_SRC),$(eval $(call unit_program,$(source))))

define program
$(BUILD)/tests/$(patsubst tests/%,%,$(1:.c=)): $(BUILD)/obj/$(1:.c=.o) $(BUILD)/tests/common.a \
	$(call archives_of,$(1))
	$$(SAY) LINK $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -o $$@ $$(LINK) $$^ $$(GATEWAY_LIBS) $$(LIBDM_LIBS) -lhiredis
endef
$(foreach source,$(PROGRAM_SRC),$(eval $(call program,$(source))))

explore_SHARED := $(wildcard tests/sim/history*.c)
define whole_program
$(BUILD)/$(1): $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/$(1)/*.c)) $($(1)_SHARED)) \
	$(BUILD)/tests/common.a $(BUILD)/libdm.a
	$$(SAY) LINK $$@
	$$(Q)$$(CC) -o $$@ $$(LINK) $$^ $$(LIBDM_LIBS)
endef
$(foreach folder,$(WHOLE),$(eval $(call whole_program,$(folder))))

# -fsanitize=fuzzer brings libFuzzer's main(). Everything else was compiled with SANITIZE=fuzzer-no-link,...
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call objects,$(FUZZ_SHARED)) $(BUILD)/tests/common.a $(ARCHIVES)
	$(SAY) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $(LINK) -fsanitize=fuzzer $^ $(GATEWAY_LIBS) $(LIBDM_LIBS)
fuzzers: $(FUZZERS)

# ---- Use ------------------------------------------------------------------------------------------------------------

run:
	@tools/install-deps build
	@+$(MAKE) --no-print-directory $(JOBS) $(BUILD)/fusegate
	@exec $(BUILD)/fusegate $(ARGS)

test:
	@tools/install-deps all
	@+$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) tools/run-tests

sim:
ifneq ($(MUTANT),)
	@tests/sim/mutants/run --into $(BUILD)/mutants --seeds $(SEEDS) $(MUTANT)
else
	@+$(MAKE) --no-print-directory $(JOBS) $(BUILD)/sim
	@$(BUILD)/sim --seeds $(SEEDS) --jobs $(shell nproc)
endif

model:
	@+$(MAKE) --no-print-directory $(JOBS) $(BUILD)/model
	@$(BUILD)/model

explore:
	@+$(MAKE) --no-print-directory $(JOBS) $(BUILD)/explore
	@$(BUILD)/explore --jobs $(shell nproc) $(if $(LONG),--long)

fuzz:
	@tools/install-deps test
	@BUILD=$(BUILD) tests/fuzz/run

rdma-test:
	@tools/install-deps all
	@+$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) tests/rdma/run

test-all:
	@tools/install-deps all
	@+$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) LONG=1 tools/run-tests

bench:
	@tools/install-deps all
	@+$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) bench/run

format:
	clang-format -i $$(find libdm gateway memserver ctl coordinator tests bench -name '*.[ch]')

# ---- Install --------------------------------------------------------------------------------------------------------

DOC_DIR = $(PREFIX)/share/doc/fusegate
DOCS = $(wildcard LICENSE README.md ARCHITECTURE.md docs/*.md)
CONF = $(wildcard conf/*.conf)

define PC
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$${prefix}/include

Name: libdm
Description: Key-value store on disaggregated memory
Version: $(VERSION)
Libs: -L$${libdir} -ldm
Libs.private: $(LIBDM_LIBS) -pthread
Cflags: -I$${includedir}
endef
export PC

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(DOC_DIR)/conf
	install -m 755 $(filter %/fusegate %/fusegate-memserver %/fusegate-ctl %/fusegate-coordinator,$(PRODUCT)) \
		 $(DESTDIR)$(PREFIX)/bin
	install -m 644 libdm/dm.h $(DESTDIR)$(PREFIX)/include/dm.h
	install -m 644 $(BUILD)/libdm.a $(DESTDIR)$(LIBDIR)/libdm.a
	install -m 755 $(BUILD)/libdm.so $(DESTDIR)$(LIBDIR)/libdm.so.$(VERSION)
	ln -sf libdm.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libdm.so
	printf '%s\n' "$$PC" > $(DESTDIR)$(LIBDIR)/pkgconfig/libdm.pc
	install -m 644 $(DOCS) $(DESTDIR)$(DOC_DIR)
	$(if $(CONF),install -m 644 $(CONF) $(DESTDIR)$(DOC_DIR)/conf)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/fusegate $(DESTDIR)$(PREFIX)/bin/fusegate-memserver \
		$(DESTDIR)$(PREFIX)/bin/fusegate-ctl $(DESTDIR)$(PREFIX)/bin/fusegate-coordinator \
		$(DESTDIR)$(PREFIX)/include/dm.h $(DESTDIR)$(LIBDIR)/libdm.a $(DESTDIR)$(LIBDIR)/libdm.so \
		$(DESTDIR)$(LIBDIR)/$(SONAME) $(DESTDIR)$(LIBDIR)/libdm.so.$(VERSION) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/libdm.pc
	rm -rf $(DESTDIR)$(DOC_DIR)

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build libdm, and fusegate with its -memserver, -ctl and -coordinator, into build/'
	@echo 'make run        install what is missing, build, start a gateway with an embedded pool (ARGS=...)'
	@echo 'make test       install what is missing, build, run all tests: minutes'
	@echo 'make test-all   the same at length, and unit tests under sanitizers and with clang'
	@echo 'make sim        the engine under simulated faults, SEEDS=2000 of them'
	@echo 'make sim MUTANT=name   ... an engine without one cure (tests/sim/mutants), which must be found'
	@echo 'make model      all interleavings of small programs under the replication rules (LONG=1: larger ones)'
	@echo 'make explore    the engine under all interleavings of short programs, with crashes (LONG=1: longer ones)'
	@echo 'make fuzz       fuzzers of everything that comes from outside, ten seconds each (LONG=1: five minutes)'
	@echo 'make rdma-test  over RDMA, in a virtual machine (LONG=1: more); RDMA_DEVICE=mlx5_0: on that adapter'
	@echo 'make bench      compare with redis-server'
	@echo 'make install    PREFIX=/usr/local DESTDIR= LIBDIR=PREFIX/lib; make uninstall takes it away'
	@echo 'make format     format all sources with clang-format'
	@echo 'make clean      remove build/'
	@echo 'Variables: CC=clang CFLAGS=... SANITIZE=address|thread|undefined V=1 BUILD=folder'
