# skynet: build, run, test. `make run` is all a newcomer needs; `make help` lists the rest.

ifeq ($(origin CC),default)
CC := gcc
endif

# --- knobs: NAME=value behind `make` ---------------------------------------------------------
# The compiler: CC=gcc, CC=clang.
# Sanitizers: address, thread, undefined, or a comma list. Each has a build folder of its own.
SAN ?=
# 1: no optimisation, and the checks that are too slow otherwise (SK_DEBUG).
DEBUG ?=
# 1: a warning is an error (but not with SAN: gcc then warns of what cannot happen).
WERROR ?=
# 1: print whole commands.
V ?=
# Where `make install` puts things; DESTDIR goes in front of it.
PREFIX ?= /usr/local
# The pkg-config packages of Lua 5.4 and of the allocator; JEMALLOC= builds without jemalloc.
LUA ?= $(shell 3rd/deps --lua)
JEMALLOC ?= jemalloc
# make test: which files (parts of their names; none: all), how many at a time, and with how many
# seeds each Lua test.
TESTS ?=
TEST_JOBS ?= 2
SEEDS ?= 1
# make fuzz: how long each target runs; KEEP=1 keeps what it has found in test/fuzz/NAME.corpus.
SECONDS ?= 10
KEEP ?=
# make run: what to run. make bench: which (none: all); QUICK=1 one short pass, PEERS=1 with Erlang.
CONFIG ?= examples/config.lua
BENCH ?=
QUICK ?=
PEERS ?=

# --- variants: build/plain, build/clang, build/address-undefined, build/clang-thread, ... ----
empty :=
space := $(empty) $(empty)
comma := ,
sanitizers := $(sort $(subst $(comma),$(space),$(SAN)))
ifneq ($(filter-out address leak thread undefined,$(sanitizers)),)
$(error SAN=$(SAN): choose from address, thread and undefined, for example SAN=address,undefined)
endif
compiler := $(notdir $(lastword $(CC)))
variant := $(strip $(filter-out gcc cc,$(compiler)) $(sanitizers) $(if $(DEBUG),debug))
B := build/$(or $(subst $(space),-,$(variant)),plain)

# --- flags ----------------------------------------------------------------------------------
CFLAGS ?= $(if $(DEBUG),-O0 -g3,$(if $(SAN),-O1 -g,-O2 -g))
warnings := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wswitch-enum
sanitize := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
allocator = $(if $(SAN),,$(JEMALLOC))# the sanitizers bring their own
packages = '$(LUA)' libcares openssl $(allocator)
shared := -shared
ifeq ($(shell uname -s),Darwin)
shared := -bundle -undefined dynamic_lookup
keg = $(shell brew --prefix 2>/dev/null)/opt/$(1)/lib/pkgconfig
export PKG_CONFIG_PATH := $(call keg,libedit):$(call keg,lua@5.4):$(call keg,openssl@3):$(PKG_CONFIG_PATH)
else
for_system := -fno-plt
endif
warnings += $(if $(SAN),,$(if $(WERROR),-Werror))
cflags = -std=gnu11 $(warnings) -fvisibility=hidden $(for_system) $(CFLAGS) $(sanitize) -pthread \
	$(if $(DEBUG),-DSK_DEBUG) $(if $(allocator),-DSK_HAS_JEMALLOC) -Iskynet-src $(CPPFLAGS) \
	$(shell pkg-config --cflags $(packages) libedit libcrypto)
libs = $(shell pkg-config --libs $(packages)) -pthread -ldl -lm $(LDLIBS)
link = $(CC) $(CFLAGS) $(sanitize) $(LDFLAGS)

# --- what is built from what: found by name --------------------------------------------------
# $(call modules,FOLDER,OUTPUT): each .c file, and each folder of them, is one shared object. The
# underscore behind a leading "skynet" means a folder: lualib-src/skynet_core.c is what Lua knows
# as skynet.core, so it becomes luaclib/skynet/core.so.
sources = $(if $(filter %.c,$(1)),$(1),$(wildcard $(1)/*.c))
entries = $(foreach e,$(wildcard $(1)/*.c) $(patsubst %/,%,$(wildcard $(1)/*/)),$(if $(call sources,$e),$e))
module = $(B)/$(2)/$(patsubst skynet_%,skynet/%,$(basename $(notdir $(1)))).so
modules = $(foreach e,$(call entries,$(1)),$(call module,$e,$(2)))
define module_rule

$(call module,$(1),$(2)): $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))
endef
module_rules = $(foreach e,$(call entries,$(1)),$(call module_rule,$e,$(2)))

core := $(patsubst %.c,$(B)/%.o,$(filter-out skynet-src/main.c,$(wildcard skynet-src/*.c)))
services := $(call modules,service-src,cservice)
libraries := $(call modules,lualib-src,luaclib)
client := $(patsubst examples/%.c,$(B)/%,$(wildcard examples/client.c))
test_services := $(call modules,test/service-src,test/cservice)
unit_tests := $(patsubst %.c,$(B)/%,$(wildcard test/unit/*_test.c))
models := $(patsubst %.pml,build/model/%.log,$(notdir \
	$(wildcard test/model/*.pml skynet-src/*.pml service-src/*/*.pml)))
vpath %.pml test/model skynet-src $(dir $(wildcard service-src/*/*.pml))

# --- targets --------------------------------------------------------------------------------
.PHONY: all run test bench fuzz lint model install clean deps help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

# $(call point,LINK,TARGET): a link that is right is left alone, so that a source folder that nobody
# may write to can still be run from.
point = [ "$$(readlink $(1))" = "$(2)" ] || ln -sfn "$(2)" $(1)

# A library of the system that only some nodes need (docs/etcd.md) is linked to when it is there.
all: $(B)/skynet $(services) $(libraries) $(client)
	@mkdir -p $(B)/cservice $(B)/luaclib
	@cjson=$$(LUA='$(LUA)' 3rd/deps --module cjson); if [ -z "$$cjson" ]; then \
		rm -f $(B)/luaclib/cjson.so; else $(call point,$(B)/luaclib/cjson.so,$$cjson); fi
ifeq ($(SAN)$(DEBUG),)
	@for built in skynet client cservice luaclib; do $(call point,$$built,$(B)/$$built); done
endif

run: all
	$(B)/skynet $(CONFIG) $(if $(SAN)$(DEBUG),--set 'cpath=$(B)/cservice/?.so' \
		--set 'lua_cpath=$(B)/luaclib/?.so')

test: all $(test_services) $(unit_tests)
	SKYNET_BUILD=$(B) SKYNET_SAN=$(SAN) test/run -j $(TEST_JOBS) --seeds $(SEEDS) $(TESTS)

bench: all
	SKYNET_BUILD=$(B) QUICK=$(QUICK) PEERS=$(PEERS) bench/run $(BENCH)

fuzzers := $(patsubst test/fuzz/%.c,build/fuzz/%,$(wildcard test/fuzz/*_fuzz.c))
fuzz: $(fuzzers)
	@for name in $(patsubst %_fuzz,%,$(notdir $(fuzzers))); do \
		test/fuzz/corpus expand $$name build/fuzz/$$name && \
		(cd build/fuzz && ./$${name}_fuzz -max_total_time=$(SECONDS) $$name && \
		rm -rf $$name.least && mkdir $$name.least && \
		./$${name}_fuzz -merge=1 $$name.least $$name 2> $$name.log) && \
		$(if $(filter-out 0,$(KEEP)),test/fuzz/corpus gather $$name build/fuzz/$$name.least &&) \
		true || exit 1; done

model: $(models)
	@for log in $(models); do echo "$$log: holds"; done

install: all
	install -d $(addprefix '$(DESTDIR)$(PREFIX)'/,bin include share/skynet lib/skynet)
	install -m 755 $(B)/skynet '$(DESTDIR)$(PREFIX)/bin'
	install -m 644 skynet-src/skynet.h skynet-src/skynet_socket.h skynet-src/skynet_simulation.h skynet-src/skynet_harbor.h '$(DESTDIR)$(PREFIX)/include'
	cp -R $(B)/cservice $(B)/luaclib lualib service '$(DESTDIR)$(PREFIX)/lib/skynet'
	cp -R examples '$(DESTDIR)$(PREFIX)/share/skynet'

clean:
	rm -rf build
	rm -f skynet client cservice luaclib

help:
	@echo 'make all | run | test | bench | fuzz | lint | model | install | clean | deps'
	@sed -n '/^# --- knobs/,/^# --- variants/{/^# --- var/d;p;}' Makefile

# --- dependencies: these goals install what they miss, the others only say what is missing ---
goals := $(or $(MAKECMDGOALS),all)
groups := build $(if $(filter test bench deps,$(goals)),test) $(if $(filter lint deps,$(goals)),lint) \
	$(if $(filter model deps,$(goals)),model) $(if $(SAN),san) $(if $(filter-out 0,$(PEERS)),peers)
check := $(if $(filter run test bench lint model deps,$(goals)),,--check)
deps := build/deps/$(subst $(space),-,$(strip $(compiler) $(groups)))
$(deps): 3rd/deps
	CC='$(CC)' SAN='$(SAN)' LUA='$(LUA)' 3rd/deps $(check) $(groups)
	@mkdir -p $(@D) && touch $@

deps: $(deps)
lint: | $(deps)
	test/lint

# --- rules ----------------------------------------------------------------------------------
# The flags live in files, so that a changed knob rebuilds what it touches.
$(B)/cflags $(B)/libs: $(B)/%: FORCE | $(deps)
	@mkdir -p $(@D)
	@printf '%s\n' '$($*)' | cmp -s - $@ || printf '%s\n' '$($*)' > $@

show = $(if $(V),,@printf '%-5s %s\n' $(1) $@;)

$(B)/%.o: %.c $(B)/cflags
	@mkdir -p $(@D)
	$(call show,cc)$(CC) @$(B)/cflags $(if $(findstring -src/,$(<:skynet-%=)),-fPIC) -MMD -MP -c $< -o $@

$(B)/skynet: $(core) $(B)/skynet-src/main.o $(B)/libs
	$(call show,link)$(link) -rdynamic -o $@ $(filter %.o,$^) @$(B)/libs

$(eval $(call module_rules,service-src,cservice))
$(eval $(call module_rules,lualib-src,luaclib))
$(eval $(call module_rules,test/service-src,test/cservice))
# What a module links beside its own files: packages of pkg-config, and the files of another module.
$(addprefix $(B)/,cservice/gate.so cservice/harbor.so luaclib/skynet/crypt.so luaclib/client.so luaclib/md5.so): needs := libcrypto
$(B)/luaclib/client.so: $(patsubst %.c,$(B)/%.o,$(call sources,lualib-src/skynet_crypt))
$(B)/luaclib/md5.so: $(B)/lualib-src/skynet_crypt/text.o
$(services) $(libraries) $(test_services):
	@mkdir -p $(@D)
	$(call show,link)$(link) $(shared) -o $@ $^ $(if $(needs),$(shell pkg-config --libs $(needs)))

$(client): $(B)/examples/client.o
	$(call show,link)$(link) -o $@ $^ $(shell pkg-config --libs libedit) -pthread

# Always with clang: libFuzzer comes with it.
build/fuzz/%: test/fuzz/%.c FORCE | $(deps)
	@mkdir -p $(@D)
	$(call show,link)clang -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -Iskynet-src $(shell pkg-config --cflags '$(LUA)') \
		$< -o $@ $(shell pkg-config --libs '$(LUA)' libcrypto) -ldl -lm

# A unit test has the whole core in it, except for what it includes as .c itself.
included = $(patsubst %.c,$(B)/skynet-src/%.o,$(notdir $(filter %.c,$(shell cat $(1)))))
$(unit_tests): %: %.o $(core) $(B)/libs
	$(call show,link)$(link) -rdynamic -o $@ $< $(filter-out $(call included,$*.d),$(core)) \
		$(shell pkg-config --libs cmocka libcrypto) @$(B)/libs

# A model may name options for the compiler and its checker in lines "cc: ..." and "pan: ...", and in
# lines "mutants: ..." mistakes that can be built into it, to show that each of them is found. It may
# include a model of its folder.
option = $$(sed -n 's/^[ *\/]*$(1): \([^*]*\).*/\1/p' $(<F))
build/model/%.log: %.pml | $(deps)
	@mkdir -p build/model/$* && cp $(<D)/*.pml build/model/$*
	$(call show,model)cd build/model/$* && spin -a $(<F) && $(CC) -O2 -w -o pan pan.c $(call option,cc) && \
		{ ./pan $(call option,pan) > pan.log || { cat pan.log; exit 1; }; }
	@cd build/model/$* && for mutant in $(call option,mutants); do \
		spin -D$$mutant -a $(<F) && $(CC) -w -o pan pan.c $(call option,cc) && \
		./pan $(call option,pan) | grep -q 'errors: [^0]' || \
		{ echo "$<: the mistake $$mutant is not found"; exit 1; }; done
	@cd build/model/$* && if grep -q 'errors: 0' pan.log && \
		! grep -q -e 'errors: [^0]' -e 'depth too small' -e 'not completed' pan.log; \
		then mv pan.log ../$*.log; else cat pan.log; exit 1; fi
build/model/links_words.log: service-src/harbor/links.pml

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d $(B)/*/*/*/*.d)
