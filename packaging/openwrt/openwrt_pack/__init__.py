# Writes OpenWrt's two kinds of packages, .ipk and .apk (v3), with Python's standard library alone.
