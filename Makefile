# Needs Go and make; demo and test need root as well. Nothing is installed.

export CGO_ENABLED ?= 0

GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
LDFLAGS     = -s -w $(if $(VERSION),-X $(OWN).number=$(VERSION)) $(if $(REVISION),-X $(OWN).revision=$(REVISION))
OWN         = github.com/xdplog/xdplog/cmd/xdplog/internal/version
FUZZTIME    = 1m
# Git refuses to speak of a clone that is somebody else's.
VCS         = $(shell git status >/dev/null 2>&1 && echo true || echo false)

.PHONY: all build demo man test test-386 race kernels kernels-short arches devices devices-short fuzz fuzz-text lint vuln cross bench figures soak clean

all: build

build: ## bin/xdplog; VERSION=v1.2.3 REVISION=0123abcd where there is no .git to tell
	go build -trimpath -buildvcs=$(VCS) -ldflags '$(LDFLAGS)' -o bin/xdplog ./cmd/xdplog

demo: build ## show packets: two namespaces, a veth, some traffic, nothing left behind
	./bin/xdplog demo

man: ## docs/man/xdplog.1, which a test compares
	go run ./cmd/xdplog man >docs/man/xdplog.1.new && mv docs/man/xdplog.1.new docs/man/xdplog.1

test: ## all tests, one package at a time: some flood interfaces; without root most are skipped
	go test -p 1 -timeout 20m ./...
	cd e2e/promlint && go test ./...
	cd e2e/kubelint && go test ./...

test-386: ## as programs of 32 bits under an amd64 kernel, what meets the kernel and what reads files
	GOARCH=386 go test -p 1 -timeout 20m ./asm/engine ./asm/wire ./reader/... ./loader ./cmd/...

race: ## the race detector, which needs a C compiler, where goroutines meet
	CGO_ENABLED=1 go test -race ./reader/... ./loader ./cmd/...

kernels: ## the tests under other kernels, in QEMU: all of them, or KERNELS="-quick 5.10"
	go run ./e2e/kernels/runner $(KERNELS)

CORE = LoadedProgram|Headerless|LostIsCounted|Count|CountFull|PacketRing|Keep|Census|TopBy|AttachAndClose|TakeOver|StrangerIsLeftInPlace|Jumbo|TransportDeliversAll|TransportFull|TransportAge|Sampling|Sockets|Frames|Counters|Capabilities|Killed|Replay|Namespace|WriteCount|WriteDescribes|Reopen|Fair|ClockSet|CPUOffline|Beside|BesideIndex|BesideFilters|BesideAFirewall|BesideTailCalls|BesideOnlyComponent|Verdict|Follow|SeenOnce|BondNames|OldQdisc|Tunnels|Devices
kernels-short: ## the most telling tests under the oldest kernel and one more, in some minutes
	go run ./e2e/kernels/runner -run '^Test($(CORE))$$' 5.10 6.1

devices: ## what xdplog sees on each kind of device and NIC, compared with docs/devices.md, under two kernels in QEMU
	go run ./e2e/kernels/runner -run '^Test(Devices|Tunnels|NICs|VirtualFunctions|MergedInCard)$$' 6.12-nics 7.3-nics
devices-short: ## the same on one small kernel and the NICs that it has drivers of, in some minutes
	go run ./e2e/kernels/runner -run '^Test(Devices|NICs)$$' 6.12

MACHINES = 6.12-arm64 6.12-riscv64 6.1-s390x 6.1-ppc64el 6.1-i386 6.12-armhf
MACHINE  = LoadedProgram|StrictAlignment|FilterByHand|CountFull|PacketBytes|Beside|PacketRingPlaces|Replay|ReplayLengths|TransportDeliversAll|TransportFull|Sampling|Clocks|Keep|PacketRing|Reopen|CountersOf|CountBesideEvents|ReadPacketsOfAllTransports|AttachAndClose|TakeOver|StrangerIsLeftInPlace|TCAttachAndClose|OldQdisc|LinkAttachAndClose|Kernel|Compiled|Frames|Counters|PortFilter|WriteCount|WriteDescribes|WriteTransport|Census|TopBy|Sockets|Capabilities|Killed|KilledAtTC|DecodeAtTC|WriteAtTC|BesideAFirewall|Verdict
arches: ## what a machine can make a difference to, on each of README's, in QEMU: all of them, or MACHINES="6.1-s390x"
	go run ./e2e/kernels/runner -run '^Test($(MACHINE))$$' $(MACHINES)

FUZZ ?= TestDifferential

fuzz: ## the parser against the oracle until stopped, FUZZ=TestInnerDifferential in tunnels; XDPLOG_FUZZ_SEED=N repeats a run; needs root
	XDPLOG_E2E=required XDPLOG_FUZZ_PACKETS=0 go test -count=1 -timeout 0 -v -run '^$(FUZZ)$$' ./asm

fuzz-text: ## what reads bytes and text in user space, FUZZTIME each
	go test -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME) ./reader
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./asm/filter
	go test -run '^$$' -fuzz '^FuzzMatch$$' -fuzztime $(FUZZTIME) ./asm/filter
	go test -run '^$$' -fuzz '^FuzzCaptureFile$$' -fuzztime $(FUZZTIME) ./cmd/xdplog/internal/capfile
	go test -run '^$$' -fuzz '^FuzzQuoted$$' -fuzztime $(FUZZTIME) ./internal/words
	go test -run '^$$' -fuzz '^FuzzRequest$$' -fuzztime $(FUZZTIME) ./cmd/xdplog/internal/metrics

COUNT ?= 5
bench: SHELL = bash
bench: .SHELLFLAGS = -o pipefail -c

bench: ## measure all figures of docs/performance.md: COUNT runs, some 5 minutes each; as root
	@mkdir -p bin
	for bench in '. ./e2e' 'Read ./reader' 'Format ./cmd/xdplog/internal/format' 'ReadFile ./cmd/xdplog' '. ./asm'; do \
		go test -run '^$$' -count $(COUNT) -timeout 3h -bench $$bench || exit; \
	done | tee bin/bench.txt
	$(MAKE) figures

figures: ## put what make bench measured into docs/performance.md
	cd e2e && XDPLOG_E2E_FIGURES=$(CURDIR)/bin/bench.txt go test -count 1 | grep -v '^ok' >../bin/figures.md
	sed -i -e '/^<!-- figures -->$$/r bin/figures.md' -e '/^<!-- figures -->$$/,/^<!-- end -->$$/{//!d}' docs/performance.md
	@cat bin/figures.md

SOAK ?= 60s
soak: ## the long forms of the tests under load: SOAK for each transport and mode; as root
	XDPLOG_E2E_SOAK=$(SOAK) XDPLOG_E2E=required go test -count 1 -timeout 24h -v \
		-run '^Test(Soak|Numbered|Identity|Age|Idle|TCP)' ./e2e

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo 'gofmt would change:'; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

vuln: ## known vulnerabilities in what is used; needs the network
	go run $(GOVULNCHECK) ./...

ARCHES = amd64 arm64 riscv64 s390x ppc64le 386 arm
cross: ## build for the other architectures, and the tests for one of 32 bits
	for arch in $(ARCHES); do GOARCH=$$arch go build ./... || exit; done
	GOARCH=386 go vet ./...

clean:
	rm -rf bin
