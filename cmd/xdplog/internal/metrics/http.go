package metrics

import (
	"bufio"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"time"
)

// What follows is as much of HTTP/1.1 (RFC 9112) as it takes to answer a
// scraper: a GET, an answer, the end of the connection. net/http, with its TLS
// and HTTP/2, would make the binary 2.9 MB larger; see docs/metrics.md.

// maxRequest bounds a request, in bytes.
const maxRequest = 8 << 10

// respond reads a request and returns the answer to it.
func respond(r io.Reader, metrics func() ([]byte, error)) []byte {
	const plain = "text/plain; charset=utf-8"
	method, path, err := readRequest(r)
	switch {
	case err != nil:
		return response("400 Bad Request", plain, err.Error()+"\n", false)
	case method != "GET" && method != "HEAD":
		return response("405 Method Not Allowed", plain, "only GET and HEAD\n", false, "Allow: GET, HEAD")
	}
	head := method == "HEAD"
	switch path {
	case "/healthz":
		return response("200 OK", plain, "ok\n", head)
	case "/metrics":
		body, err := metrics()
		if err != nil {
			return response("503 Service Unavailable", plain, err.Error()+"\n", head)
		}
		return response("200 OK", "text/plain; version=0.0.4; charset=utf-8", string(body), head)
	}
	return response("404 Not Found", plain, "there are /metrics and /healthz\n", head)
}

// readRequest reads a request to the end of its header. The path is without a
// query.
func readRequest(r io.Reader) (method, path string, err error) {
	text := textproto.NewReader(bufio.NewReader(io.LimitReader(r, maxRequest)))
	line, err := text.ReadLine()
	if err != nil {
		return "", "", fmt.Errorf("no request: %w", err)
	}
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	path, ok := pathOf(target)
	if !strings.HasPrefix(version, "HTTP/1.") || !ok {
		return "", "", fmt.Errorf("no request of HTTP/1")
	}
	if _, err := text.ReadMIMEHeader(); err != nil {
		return "", "", fmt.Errorf("no header, or one of more than %d bytes: %w", maxRequest, err)
	}
	return method, path, nil
}

// pathOf is the path of a request's target, without a query. A server must take the absolute
// form as well (RFC 9112, 3.2.2), which is what is sent to a proxy: whose name it is doesn't matter.
func pathOf(target string) (path string, ok bool) {
	const scheme = "http://"
	if len(target) >= len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
		authority := target[len(scheme):]
		end := strings.IndexAny(authority, "/?")
		switch {
		case end == 0, authority == "":
			return "", false // of no host
		case end < 0:
			return "/", true
		case authority[end] == '?':
			return "/", true
		}
		target = authority[end:]
	}
	path, _, _ = strings.Cut(target, "?")
	return path, strings.HasPrefix(path, "/")
}

// response is a whole answer; to HEAD it has no body.
func response(status, contentType, body string, head bool, headers ...string) []byte {
	var b []byte
	b = fmt.Appendf(b, "HTTP/1.1 %s\r\n", status)
	b = fmt.Appendf(b, "Date: %s\r\n", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	b = fmt.Appendf(b, "Content-Type: %s\r\nContent-Length: %d\r\nX-Content-Type-Options: nosniff\r\n", contentType, len(body))
	for _, header := range headers {
		b = append(b, header+"\r\n"...)
	}
	b = append(b, "Connection: close\r\n\r\n"...)
	if !head {
		b = append(b, body...)
	}
	return b
}
