package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestResponses parses the answers with net/http.
func TestResponses(t *testing.T) {
	some := func() ([]byte, error) { return []byte("some 1\n"), nil }
	none := func() ([]byte, error) { return nil, errors.New("none") }
	for _, c := range []struct {
		request string
		metrics func() ([]byte, error)
		status  int
		body    string
	}{
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 200, "some 1\n"},
		{"GET /metrics?collect=all HTTP/1.0\r\n\r\n", some, 200, "some 1\n"},
		{"GET /metrics HTTP/1.1\nHost: x\n\n", some, 200, "some 1\n"},
		{"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 200, ""},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", none, 503, "none\n"},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", none, 200, "ok\n"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", some, 404, "there are /metrics and /healthz\n"},
		{"GET /metrics/../etc HTTP/1.1\r\nHost: x\r\n\r\n", some, 404, "there are /metrics and /healthz\n"},
		{"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", some, 405, "only GET and HEAD\n"},
		{"GET http://x:10937/metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 200, "some 1\n"},
		{"GET HTTP://x/metrics?collect=all HTTP/1.1\r\nHost: x\r\n\r\n", some, 200, "some 1\n"},
		{"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", some, 404, "there are /metrics and /healthz\n"},
		{"GET http://x?/metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 404, "there are /metrics and /healthz\n"},
		{"GET http:///metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 400, "no request of HTTP/1\n"},
		{"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", some, 400, "no request of HTTP/1\n"},
		{"GET https://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n", some, 400, "no request of HTTP/1\n"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", some, 400, "no request of HTTP/1\n"},
		{"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", some, 400, "no request of HTTP/1\n"},
		{"GET /metrics HTTP/1.1\r\nHost\r\n\r\n", some, 400, ""},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n", some, 400, ""},
		{"GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("x", maxRequest) + "\r\n\r\n", some, 400, ""},
		{strings.Repeat("x", 2*maxRequest), some, 400, ""},
		{"", some, 400, ""},
	} {
		method := "GET"
		if strings.HasPrefix(c.request, "HEAD") {
			method = "HEAD"
		}
		got := respond(strings.NewReader(c.request), c.metrics)
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), &http.Request{Method: method})
		if err != nil {
			t.Errorf("%.40q: %v in %q", c.request, err, got)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != c.status || c.body != "" && string(body) != c.body || method == "HEAD" && len(body) > 0 {
			t.Errorf("%.40q: %v, %d, %q, want %d, %q", c.request, err, answer.StatusCode, body, c.status, c.body)
		}
		if !answer.Close {
			t.Errorf("%.40q: the connection stays", c.request)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("HEAD /healthz?x HTTP/1.0\n\n")
	f.Fuzz(func(t *testing.T, request string) {
		got := respond(strings.NewReader(request), func() ([]byte, error) { return []byte("x 1\n"), nil })
		if !bytes.HasPrefix(got, []byte("HTTP/1.1 ")) {
			t.Errorf("%q", got)
		}
	})
}
