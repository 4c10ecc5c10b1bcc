// The server's clock, found out by what it makes of time-limited credentials: they are good until their expiry, by its
// clock. A Refresh without an allocation tells (437 behind the check of the password) and leaves nothing behind. See probe.h.
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/ctl/probe/probe.h"

#define SKEW_S     60 // not worth a word
#define SKEW_MAX_S (10ll * 365 * 86400)

// Are credentials good that expire so many seconds from now, by our clock? 1, 0, or -errno.
static int is_good(struct probe *p, long long in_s)
{
	struct probe_request r = { .type = TURN_REFRESH_REQUEST, .has_lifetime = true };
	struct probe_credentials c = { .nonce_bytes = 0 };
	uint8_t buffer[PROBE_MESSAGE_MAX];
	char user[48], password[29], why[160];
	static struct probe_link link;
	struct stun_view answer;
	int ret;

	snprintf(user, sizeof(user), "%lld:%s", (long long)time(NULL) + in_s,
		 p->user ? p->user : "probe");
	probe_rest_password(p->secret, user, password);
	c.user = user;
	c.password = password;
	ret = probe_open(p, p->url.transport, &link, why, sizeof(why));
	if (ret < 0)
		return ret;
	ret = probe_request(&link, &c, &r, buffer, sizeof(buffer), &answer);
	probe_link_close(&link);
	probe_credentials_wipe(&c);
	OPENSSL_cleanse(password, sizeof(password));
	if (ret < 0)
		return ret;
	return ret != 401;
}

static void tell(struct probe *p, long long skew_s, bool is_refused)
{
	long long s = llabs(skew_s);

	probe_failed(
		&p->report, "clock", json_pack("{s:I}", "skew_s", (json_int_t)skew_s),
		"set the clocks of the server and of the application that makes credentials by "
		"NTP",
		"the server's clock is %lld:%02lld:%02lld %s of ours, so that %s", s / 3600,
		s / 60 % 60, s % 60, skew_s > 0 ? "ahead" : "behind",
		is_refused   ? "it refuses credentials which are good by ours"
		: skew_s > 0 ? "credentials end early"
			     : "credentials stay good too long");
}

void probe_clock(struct probe *p, bool is_refused)
{
	// The server's time, relative to ours, lies in low..high: what expires at low is refused, at high it is good.
	long long low = -SKEW_S, high = SKEW_S;
	int at_low = is_good(p, low), at_high = is_good(p, high);

	if (at_low < 0 || at_high < 0)
		goto unknown;
	if (!at_low && at_high) {
		probe_ok(&p->report, "clock", json_pack("{s:i}", "within_s", SKEW_S),
			 "the server's clock is within %d s of ours", SKEW_S);
		return;
	}
	if (!at_high) {
		low = SKEW_S;
		high = SKEW_MAX_S;
		at_high = is_good(p, high);
		if (at_high < 0)
			goto unknown;
		if (!at_high) {
			probe_note(
				&p->report, "clock", NULL,
				"not the clock: credentials are refused whatever their expiry, so "
				"the secret is wrong");
			return;
		}
	} else {
		high = -SKEW_S;
		low = -SKEW_MAX_S;
		at_low = is_good(p, low);
		if (at_low < 0)
			goto unknown;
		if (at_low) {
			probe_failed(&p->report, "clock", NULL,
				     "see that the server takes only time-limited credentials for "
				     "this secret",
				     "credentials that expired ten years ago are good");
			return;
		}
	}
	while (high - low > 1) {
		long long middle = low + (high - low) / 2;
		int good = is_good(p, middle);

		if (good < 0)
			goto unknown;
		if (good)
			high = middle;
		else
			low = middle;
	}
	tell(p, high, is_refused);
	return;
unknown:
	probe_note(&p->report, "clock", NULL, "the server did not answer often enough to tell");
}
