#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ./configure from configure.ac; only needed in a checkout, not in a release.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux/m4
exec autoreconf --install --force
