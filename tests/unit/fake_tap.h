/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FAKE_TAP_H
#define TESTS_UNIT_FAKE_TAP_H

#include <stdbool.h>

/** fake_tap_opened() - this fd is a queue of a tap from now on, and attached */
void fake_tap_opened(int tap);

/** fake_tap_attached() - is it still, or again? */
bool fake_tap_attached(int tap);

#endif
