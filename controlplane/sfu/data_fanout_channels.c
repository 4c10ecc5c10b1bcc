// Fan-out over real data channels. The control plane's loop thread.
#include "controlplane/sfu/data_fanout.h"

static int mirror_open(void *watcher, const struct dcep_open *what, void **mirror)
{
	struct data_channel *channel;
	int ret = data_channel_open(watcher, what, &channel);

	*mirror = channel;
	return ret;
}

static int mirror_send(void *mirror, struct data_message *message)
{
	return data_channel_send(mirror, message);
}

static void mirror_close(void *mirror)
{
	data_channel_close(mirror);
}

const struct data_fanout_operations data_fanout_over_channels = {
	.open = mirror_open,
	.send = mirror_send,
	.close = mirror_close,
};
