# make install, make dist: a tree that may be moved as a whole.
#
#   bin/mlxengine
#   include/mlxengine.h
#   lib/libmlxengine.so.0
#   lib/mlxengine/libmlxengine-mlx-cpu.so          found by the library beside itself
#   lib/mlxengine/mlx/lib/libmlx.so                the two stay two levels apart: libmlx looks for
#   lib/mlxengine/mlx_cpu.libs/                    its BLAS in $ORIGIN/../../mlx_cpu.libs
#   lib/cmake/mlxengine/  lib/pkgconfig/mlxengine.pc
#   share/mlxengine/zoo/pocket-llm/                found by the library in ../share/mlxengine/zoo
#   share/man/man1  share/bash-completion  share/zsh  share/fish  share/doc/mlxengine
#
# The default prefix's libdir is plain lib: Debian's multiarch lib/x86_64-linux-gnu would move the
# library away from ../share.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/mlxengine)

install(TARGETS mlxengine EXPORT mlxengineTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/mlxengine.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET mlxengine-mlx-cpu)
    install(TARGETS mlxengine-mlx-cpu LIBRARY DESTINATION ${package})
    set_target_properties(mlxengine-mlx-cpu PROPERTIES INSTALL_RPATH "$ORIGIN/mlx/lib")
    install(PROGRAMS ${MLX_ROOT}/lib/libmlx.so DESTINATION ${package}/mlx/lib)
    get_filename_component(wheel ${MLX_ROOT} DIRECTORY)
    if(EXISTS ${wheel}/mlx_cpu.libs)
        install(DIRECTORY ${wheel}/mlx_cpu.libs DESTINATION ${package} USE_SOURCE_PERMISSIONS)
    endif()
endif()
if(TARGET mlxengine-cli)
    install(TARGETS mlxengine-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# ---- for programs that use the library -----------------------------------------------------------
install(EXPORT mlxengineTargets NAMESPACE mlxengine::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mlxengine)
configure_package_config_file(cmake/mlxengineConfig.cmake.in
    ${CMAKE_BINARY_DIR}/generated/mlxengineConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mlxengine)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/mlxengineConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/mlxengineConfig.cmake
              ${CMAKE_BINARY_DIR}/generated/mlxengineConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mlxengine)
configure_file(cmake/mlxengine.pc.in ${CMAKE_BINARY_DIR}/generated/mlxengine.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/generated/mlxengine.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# ---- for people ----------------------------------------------------------------------------------
install(DIRECTORY zoo/pocket-llm DESTINATION ${CMAKE_INSTALL_DATADIR}/mlxengine/zoo OPTIONAL)
install(FILES docs/mlxengine.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES tools/completions/mlxengine.bash RENAME mlxengine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES tools/completions/mlxengine.zsh RENAME _mlxengine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES tools/completions/mlxengine.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES README.md CHANGELOG.md LICENSE THIRD-PARTY-NOTICES examples/first.c
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY licences DESTINATION ${CMAKE_INSTALL_DOCDIR})
