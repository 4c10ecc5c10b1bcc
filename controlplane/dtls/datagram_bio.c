// See datagram_bio.h.
#include "controlplane/dtls/datagram_bio.h"

#include <string.h>

// IPv6 and UDP; asked for by OpenSSL when it is told a link MTU.
#define IP_UDP_BYTES 48

static int bio_write(BIO *bio, const char *bytes, int n_bytes)
{
	struct dtls_datagrams *d = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n_bytes > 0)
		d->send(d->arg, (const uint8_t *)bytes, (size_t)n_bytes);
	return n_bytes;
}

static int bio_read(BIO *bio, char *out, int out_bytes)
{
	struct dtls_datagrams *d = BIO_get_data(bio);
	size_t n = d->in_bytes;

	BIO_clear_retry_flags(bio);
	if (d->in == NULL || out_bytes <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)out_bytes)
		n = (size_t)out_bytes;
	memcpy(out, d->in, n);
	d->in = NULL;
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	switch (command) {
	case BIO_CTRL_FLUSH:
	case BIO_CTRL_DUP:
	case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
		return 1;
	case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
		return IP_UDP_BYTES;
	default:
		return 0;
	}
}

BIO_METHOD *dtls_datagram_bio_method_new(void)
{
	BIO_METHOD *method =
		BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "turnpike datagrams");

	if (method == NULL || BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_read(method, bio_read) != 1 || BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

BIO *dtls_datagram_bio_new(const BIO_METHOD *method, struct dtls_datagrams *d)
{
	BIO *bio = BIO_new(method);

	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, d);
	BIO_set_init(bio, 1);
	return bio;
}
