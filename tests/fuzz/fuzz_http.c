// Requests of any bytes through the handlers: router, tokens, WHIP, WHEP, rooms, CORS. Input: method, path, then header
// lines, an empty line and the body, as in HTTP/1.1; each request runs with and without tokens. Whatever comes,
// there is a status, what a client reads stays printable, and the SFU is asked only for good names within its limits.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "controlplane/signaling/demo_files.h"
#include "controlplane/signaling/signaling_private.h"
#include "tests/fuzz/fuzz.h"

#define SECRET  "0123456789abcdef0123456789abcdef"
#define SESSION "00112233445566778899aabbccddeeff"

// In place of the embedded ones.
static const unsigned char page[] = "<!doctype html>";
const struct demo_file demo_files[] = { { "publish", "text/html", page, sizeof(page) - 1 } };
const size_t demo_n_files = 1;

static unsigned n_asked;
static enum sfu_status next_status;

static void say(struct sfu_reply *out)
{
	memset(out, 0, sizeof(*out));
	out->status = next_status;
	strcpy(out->session_id, SESSION);
	strcpy(out->etag, "abcdef0123456789");
	if (next_status % 2 == 0) {
		out->body = strdup("v=0\r\n");
		out->body_bytes = 5;
	}
	n_asked++;
}

void sfu_join(struct sfu *s, const struct sfu_join *join, struct sfu_reply *out)
{
	FUZZ_ASSERT(token_name_is_good(join->room));
	FUZZ_ASSERT(join->participant[0] != '\0' || join->role == SFU_ROLE_WATCH);
	FUZZ_ASSERT(join->participant[0] == '\0' || token_name_is_good(join->participant));
	FUZZ_ASSERT(join->offer_bytes > 0 && join->offer_bytes <= 65536);
	say(out);
}

void sfu_patch(struct sfu *s, const char *session_id, const char *if_match, const char *fragment,
	       size_t fragment_bytes, struct sfu_reply *out)
{
	FUZZ_ASSERT(strcmp(session_id, SESSION) == 0 && fragment_bytes <= 16384);
	FUZZ_ASSERT(if_match == NULL || strlen(if_match) <= SFU_ETAG_BYTES);
	say(out);
}

void sfu_leave(struct sfu *s, const char *session_id, struct sfu_reply *out)
{
	FUZZ_ASSERT(strcmp(session_id, SESSION) == 0);
	say(out);
}

bool sfu_session_find(const struct sfu *s, const char *session_id, enum sfu_role *role,
		      char room[SFU_ROOM_BYTES_MAX])
{
	FUZZ_ASSERT(strlen(session_id) < SFU_SESSION_ID_BYTES);
	*role = next_status % 2;
	strcpy(room, "lobby");
	return strcmp(session_id, SESSION) == 0;
}

uint32_t sfu_room_publishers(const struct sfu *s, const char *room, struct sfu_publisher_info *out,
			     uint32_t max)
{
	FUZZ_ASSERT(token_name_is_good(room) && max >= 1);
	memset(out, 0, sizeof(*out));
	strcpy(out->participant, "alice");
	return 1;
}

uint32_t sfu_session_seats(const struct sfu *s, const char *session_id, struct sfu_seat *out,
			   uint32_t max)
{
	FUZZ_ASSERT(strcmp(session_id, SESSION) == 0 && max >= 1);
	out[0] = (struct sfu_seat){ .participant = "alice" };
	return 1;
}

static void base64url(const void *bytes, size_t n, char *out)
{
	int len = EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);

	while (len > 0 && out[len - 1] == '=')
		out[--len] = '\0';
	for (; *out != '\0'; out++)
		*out = *out == '+' ? '-' : *out == '/' ? '_' : *out;
}

// "Sign CLAIMS" in place of "Bearer …" becomes a token with these claims: nobody guesses a signature.
static char *sign(const char *claims)
{
	static const char header[] = "{\"alg\":\"HS256\"}";
	size_t n = strlen(claims);
	char *token = malloc(2 * n + 256), *end;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n_mac = 0;

	strcpy(token, "Bearer ");
	base64url(header, sizeof(header) - 1, token + 7);
	end = token + strlen(token);
	*end++ = '.';
	base64url(claims, n, end);
	end += strlen(end);
	HMAC(EVP_sha256(), SECRET, strlen(SECRET), (unsigned char *)token + 7,
	     (size_t)(end - token) - 7, mac, &n_mac);
	*end++ = '.';
	base64url(mac, n_mac, end);
	return token;
}

static char *cut(char **text, const char *at)
{
	char *begin = *text, *end = strstr(begin, at);

	if (end == NULL) {
		*text = begin + strlen(begin);
		return begin;
	}
	*end = '\0';
	*text = end + strlen(at);
	return begin;
}

static void read_field(struct http_request *request, char *line)
{
	char *name = cut(&line, ": ");
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "Authorization", offsetof(struct http_request, authorization) },
		{ "Content-Type", offsetof(struct http_request, content_type) },
		{ "If-Match", offsetof(struct http_request, if_match) },
		{ "Origin", offsetof(struct http_request, origin) },
		{ "Access-Control-Request-Method",
		  offsetof(struct http_request, preflight_method) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, name) == 0)
			memcpy((char *)request + fields[i].offset, &line, sizeof(line));
}

static void check(const struct http_request *request, const struct http_response *response,
		  bool has_tokens, bool has_token)
{
	const char *type = http_response_header(response, "Content-Type");
	const char *allow = http_response_header(response, "Allow");

	FUZZ_ASSERT(response->status >= 200 && response->status <= 503 && response->status != 500);
	FUZZ_ASSERT(response->body_bytes == 0 || response->body != NULL);
	for (unsigned i = 0; i < response->n_headers; i++)
		for (const char *c = response->headers[i].value; *c != '\0'; c++)
			FUZZ_ASSERT(*c >= ' ' && (unsigned char)*c < 0x7f);
	if (type != NULL && strncmp(type, "text/plain", 10) == 0) {
		FUZZ_ASSERT(response->body[response->body_bytes - 1] == '\n');
		for (size_t i = 0; i + 1 < response->body_bytes; i++)
			FUZZ_ASSERT(response->body[i] >= ' ' &&
				    (unsigned char)response->body[i] < 0x7f);
	}
	FUZZ_ASSERT(!has_tokens || has_token || n_asked == 0);
	// RFC 9110 §15.5.6, §9.3.7: what is allowed is told with 405, which OPTIONS never gets, and to OPTIONS.
	FUZZ_ASSERT((response->status == 405) ==
		    (allow != NULL && request->method != HTTP_METHOD_OPTIONS));
}

static void run(struct http_request *request, bool has_tokens)
{
	static char secret_text[] = SECRET, origin_text[] = "https://a.example",
		    turn[] = "turn:a:1";
	char *secret = secret_text, *origin = origin_text, *url = turn;
	struct signaling s = {
		.settings = { .requires_tokens = has_tokens,
			      .token_secrets = &secret,
			      .n_token_secrets = 1,
			      .turn_urls = &url,
			      .n_turn_urls = 1,
			      .turn_secret = secret_text,
			      .allow_origins = &origin,
			      .n_allow_origins = 1 },
	};
	struct http_response response = { .status = 0 };

	n_asked = 0;
	signaling_handle(&s, request, &response);
	check(request, &response, has_tokens, request->authorization != NULL);
	http_response_reset(&response);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	static const char *const methods[HTTP_METHOD_COUNT] = {
		"?", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"
	};
	char *text = malloc(n + 1), *rest = text, *line, *token = NULL;
	struct http_request request = { .method = HTTP_METHOD_OTHER, .path = "" };

	FUZZ_ASSERT(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	next_status = n % SFU_STATUS_COUNT;
	line = cut(&rest, " ");
	for (int i = 1; i < HTTP_METHOD_COUNT; i++)
		if (strcmp(methods[i], line) == 0)
			request.method = i;
	request.path = cut(&rest, "\n");
	while (*(line = cut(&rest, "\n")) != '\0')
		read_field(&request, line);
	request.body = rest;
	request.body_bytes = n - (size_t)(rest - text);
	if (request.authorization != NULL && strncmp(request.authorization, "Sign ", 5) == 0)
		request.authorization = token = sign(request.authorization + 5);
	run(&request, false);
	run(&request, true);
	free(token);
	free(text);
}
