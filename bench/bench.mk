# The programs and services that the benchmarks need, built into $(BENCH_OUT). Works alone
# (make -f bench/bench.mk bench-programs) and included by a Makefile at the top level.

BENCH_OUT ?= build/bench
BENCH_CC ?= $(CC)
BENCH_WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wswitch-enum
BENCH_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g $(BENCH_WARNINGS) -Iskynet-src -Ibench
# What the daemon uses, so that both sides of a comparison have the same Lua and allocator.
BENCH_LUA := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))
BENCH_LUA_FLAGS = $(shell pkg-config --cflags --libs $(BENCH_LUA))
BENCH_MALLOC := $(shell pkg-config --libs jemalloc 2>/dev/null)

BENCH_PROGRAMS := $(patsubst bench/%.c,$(BENCH_OUT)/%,$(wildcard bench/limit_*.c) bench/load.c)
BENCH_SERVICES := $(patsubst bench/cservice/%.c,$(BENCH_OUT)/%.so,$(wildcard bench/cservice/bench_*.c))
BENCH_SHARED_OPTION := $(if $(filter Darwin,$(shell uname -s)),-undefined dynamic_lookup)

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS) $(BENCH_SERVICES)

$(BENCH_OUT):
	mkdir -p $@

$(BENCH_OUT)/limit_lua: bench/limit_lua.c bench/bench.h | $(BENCH_OUT)
	$(BENCH_CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_LUA_FLAGS) $(BENCH_MALLOC)

$(BENCH_OUT)/load: bench/load_framing.h
$(BENCH_OUT)/limit_echo $(BENCH_OUT)/limit_tls: bench/bytes.h
$(BENCH_OUT)/bench_framing.so: service-src/framing.h

$(BENCH_OUT)/load $(BENCH_OUT)/limit_tls: $(BENCH_OUT)/%: bench/%.c bench/bench.h | $(BENCH_OUT)
	$(BENCH_CC) $(BENCH_CFLAGS) -pthread -o $@ $< $(BENCH_MALLOC) $(shell pkg-config --cflags --libs openssl)

$(BENCH_OUT)/%: bench/%.c bench/bench.h | $(BENCH_OUT)
	$(BENCH_CC) $(BENCH_CFLAGS) -pthread -o $@ $< $(BENCH_MALLOC)

$(BENCH_OUT)/%.so: bench/cservice/%.c bench/bench.h skynet-src/skynet.h skynet-src/skynet_socket.h | $(BENCH_OUT)
	$(BENCH_CC) $(BENCH_CFLAGS) -fPIC -shared $(BENCH_SHARED_OPTION) -o $@ $<
