// Go's server: the same as echo.py.
package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
)

// latin1 makes each byte a letter, as the others do.
func latin1(text string) string {
	letters := make([]rune, len(text))
	for i := 0; i < len(text); i++ {
		letters[i] = rune(text[i])
	}
	return string(letters)
}

func answer(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		// The application has to refuse it: the server only closes.
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	seen := []string{
		latin1(request.Method),
		// As it came; what is in request.URL may be put right.
		latin1(request.RequestURI),
		latin1(string(body)),
		latin1(request.Header.Get("X-Meant")),
	}
	told, err := json.Marshal(seen)
	if err != nil {
		panic(err)
	}
	response.Header().Set("X-Echo", hex.EncodeToString(told))
	io.WriteString(response, "ok")
}

func main() {
	// A mux would redirect some targets.
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(answer)))
}
