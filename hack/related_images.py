# SPDX-License-Identifier: Apache-2.0
"""Print shell exports of the images that a deployed operator has in its environment, unless they are already set."""

import os
import shlex

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES

for component, variable in IMAGE_VARIABLES.items():
    print(f"export {variable}={shlex.quote(os.environ.get(variable) or DEFAULT_IMAGES[component])}")
