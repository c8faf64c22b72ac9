// Declares what c10d's headers name of Gloo, whose own headers the wheel of libtorch lacks. Nothing here is called.
#pragma once
