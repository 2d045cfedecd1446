// Go's http client: the same as client_fetch.py.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

type job struct {
	Port     int
	Patience float64
	Width    int
	Asks     [][]any
}

type result struct {
	N      int         `json:"n"`
	End    string      `json:"end"`
	Status int         `json:"status"`
	Body   string      `json:"body"`
	Fields [][2]string `json:"fields"`
	Error  string      `json:"error"`
	Then   string      `json:"then"`
}

// latin1 makes each byte a letter, as the others do.
func latin1(text string) string {
	letters := make([]rune, len(text))
	for i := 0; i < len(text); i++ {
		letters[i] = rune(text[i])
	}
	return string(letters)
}

// ask goes by the transport, which follows no redirections.
func (j *job) ask(transport *http.Transport, method, path string) result {
	patience := time.Duration(j.Patience * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	failed := func(err error) result {
		if ctx.Err() != nil {
			return result{End: "waits", Fields: [][2]string{}}
		}
		return result{End: "failed", Error: err.Error(), Fields: [][2]string{}}
	}
	url := fmt.Sprintf("http://127.0.0.1:%d%s", j.Port, path)
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return failed(err)
	}
	defer response.Body.Close()
	var body []byte
	// Behind 101 the body is the connection.
	if _, switched := response.Body.(io.Writer); !switched {
		if body, err = io.ReadAll(response.Body); err != nil {
			return failed(err)
		}
	}
	fields := [][2]string{}
	for name, values := range response.Header {
		for _, value := range values {
			pair := [2]string{strings.ToLower(latin1(name)), latin1(value)}
			fields = append(fields, pair)
		}
	}
	return result{
		End:    "done",
		Status: response.StatusCode,
		Body:   hex.EncodeToString(body),
		Fields: fields,
	}
}

func then(answer result) string {
	if answer.End != "done" {
		return "error"
	}
	body, _ := hex.DecodeString(answer.Body)
	text := string(body)
	if answer.Status == 200 && (text == "again" || text == "fresh") {
		return text
	}
	return "wrong"
}

func (j *job) one(asked []any) result {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	n, method := int(asked[0].(float64)), asked[1].(string)
	told := j.ask(transport, method, fmt.Sprintf("/%d", n))
	told.N = n
	if asked[2].(bool) {
		told.Then = then(j.ask(transport, "GET", fmt.Sprintf("/next/%d", n)))
	}
	return told
}

func main() {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		log.Fatal(err)
	}
	asks := make(chan []any)
	var lines sync.Mutex
	var workers sync.WaitGroup
	for i := 0; i < j.Width; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for asked := range asks {
				told, err := json.Marshal(j.one(asked))
				if err != nil {
					log.Fatal(err)
				}
				lines.Lock()
				fmt.Println(string(told))
				lines.Unlock()
			}
		}()
	}
	for _, asked := range j.Asks {
		asks <- asked
	}
	close(asks)
	workers.Wait()
}
