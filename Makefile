# The front door. `make` says what there is; CMake (CMakeLists.txt) does the building.
#
#   JOBS=N       parallel jobs (default: the machine's)        BUILD=DIR    build tree (default: build)
#   MODEL= PROMPT= ARGS=   for make run                        PREFIX=DIR   for make install
#   CMAKE_ARGS=  passed on when a tree is configured, e.g. CMAKE_ARGS=-DMLX_ROOT=/opt/mlx
.DEFAULT_GOAL := help
.PHONY: help run test build check format asan tsan valgrind fuzz neon goldens bench bench-peers bench-bundle install dist doctor clean setup
MAKEFLAGS += --no-print-directory
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 300
LABEL ?= fast
# One more than there are cores: some tests of the Hub wait more than they compute.
CTEST := ctest --output-on-failure --no-tests=error -j $(shell expr $(JOBS) + 1) -L '^$(LABEL)$$'

help:
	@echo 'MLXEngine: make TARGET'
	@echo '  run       set up what is missing, build, and stream an answer (MODEL= PROMPT= ARGS=)'
	@echo '  test      set up what is missing, build, and run the fast tests (LABEL=full, LABEL=soak)'
	@echo '  build     build the library, the command and the tests into build/'
	@echo '  check     layers, formatting, warnings, linters, header, exports: what a change must pass'
	@echo '  format    rewrite the C and C++ files with clang-format'
	@echo '  asan      the fast tests under AddressSanitizer and UBSan (LABEL=)'
	@echo '  tsan      the fast tests under ThreadSanitizer (LABEL=)'
	@echo '  valgrind  the fast tests under Valgrind, on the AVX2 kernels (slow)'
	@echo '  fuzz      every fuzz target for FUZZ_SECONDS (300) each'
	@echo '  neon      the kernels for 64-bit Arm, cross-compiled and run under an emulator'
	@echo '  goldens   make the golden files anew with the Python oracles (installs torch)'
	@echo '  bench     the speed figures of SPEED.md on this machine'
	@echo '  bench-peers   the same models in llama.cpp and mlx-lm, in turn (ARGS=, see bench/peers/compare.py)'
	@echo '  bench-bundle  build/mlxengine-bench.tar.xz: tests, benches and peers for another machine'
	@echo '  install   into PREFIX (/usr/local): command, library, header, pocket models, man page'
	@echo '  dist      dist/*.tar.gz: a tree that runs where there is no compiler'
	@echo '  doctor    what this machine has and lacks for building and running'
	@echo '  clean     remove the build trees (what was downloaded stays in .deps/)'

setup:
	@tools/setup.sh

build: setup
	@tools/build.sh $(BUILD) $(JOBS) all $(CMAKE_ARGS)

# Only what an answer needs: the tests are built by `make test`.
run: setup
	@tools/build.sh $(BUILD) $(JOBS) command $(CMAKE_ARGS)
	@tools/run.sh $(BUILD) '$(subst ','\'',$(MODEL))' '$(subst ','\'',$(PROMPT))' $(ARGS)

test: build
	@cd $(BUILD) && $(CTEST)

check:
	@tools/setup.sh check
	@tools/check/all.sh

format:
	@tools/setup.sh check
	@git ls-files -z -- '*.c' '*.h' '*.cpp' | xargs -0 clang-format -i

asan: setup
	@tools/build.sh build-asan $(JOBS) all -DMLXE_SANITIZE=address,undefined $(CMAKE_ARGS)
	@cd build-asan && $(CTEST)

tsan: setup
	@tools/build.sh build-tsan $(JOBS) all -DMLXE_SANITIZE=thread $(CMAKE_ARGS)
	@cd build-tsan && $(CTEST)

valgrind: build
	@tools/valgrind.sh $(BUILD) '$(LABEL)'

fuzz:
	@tools/setup.sh check
	@tools/fuzz.sh $(JOBS) $(FUZZ_SECONDS)

neon:
	@tools/setup.sh neon
	@JOBS=$(JOBS) tools/neon.sh

goldens:
	@tools/setup.sh goldens
	@tools/goldens/make.sh

bench: setup
	@tools/build.sh $(BUILD) $(JOBS) benches $(CMAKE_ARGS)
	@tools/bench.sh $(BUILD)

# Against llama.cpp and mlx-lm, which bench/peers/build.sh fetches and builds.
bench-peers: setup
	@tools/build.sh $(BUILD) $(JOBS) benches $(CMAKE_ARGS)
	@bench/peers/run.sh $(BUILD) $(ARGS)

bench-bundle: setup
	@tools/build.sh $(BUILD) $(JOBS) all $(CMAKE_ARGS)
	@tools/build.sh $(BUILD) $(JOBS) benches $(CMAKE_ARGS)
	@bench/peers/build.sh $(JOBS) wide
	@bench/bundle/make.sh $(BUILD)

install: setup
	@tools/build.sh $(BUILD) $(JOBS) command $(CMAKE_ARGS)
	@cmake --install $(BUILD) --prefix '$(PREFIX)' >$(BUILD)/install.log || { cat $(BUILD)/install.log; exit 1; }
	@echo 'installed into $(PREFIX)'

dist: setup
	@tools/build.sh $(BUILD) $(JOBS) command $(CMAKE_ARGS)
	@tools/dist.sh $(BUILD)

doctor:
	@tools/doctor.sh $(BUILD)

clean:
	rm -rf build build-* dist
