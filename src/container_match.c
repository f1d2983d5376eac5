/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container_match.h"

#include <regex.h>

#include "app.h"
#include "base/error.h"
#include "base/wire.h"
#include "oci/oci_state.h"

static int match_all(const struct app *app, const regex_t *regex, container_match_fn fn, void *data,
		     struct error **err)
{
	cleanup_error struct error *first = NULL;
	char **ids = oci_state_list(app->root, err);

	if (!ids)
		return -1;
	for (char **id = ids; *id; id++) {
		cleanup_error struct error *why = NULL;

		if (!regexec(regex, *id, 0, NULL, 0) && fn(app, *id, data, &why) < 0 && !first)
			error_move(&first, &why);
	}
	wire_strv_free(ids);
	return first ? error_move(err, &first) : 0;
}

int container_match(const struct app *app, const char *regex, container_match_fn fn, void *data,
		    struct error **err)
{
	regex_t compiled;
	char why[128];
	int r = regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB);

	if (r) {
		regerror(r, &compiled, why, sizeof(why));
		return error_set(err, 0, "--regex: %s: %s", regex, why);
	}
	r = match_all(app, &compiled, fn, data, err);
	regfree(&compiled);
	return r;
}
