# The binary, its man page and completions, the annotated Lua sources for editors, a dashboard, and units for systemd.
if(TARGET cancela)
  install(TARGETS cancela DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY lua/ DESTINATION ${CMAKE_INSTALL_DATADIR}/cancela/lua
  FILES_MATCHING PATTERN "*.lua")
install(FILES docs/grafana/cancela.json DESTINATION ${CMAKE_INSTALL_DATADIR}/cancela/grafana)
install(FILES docs/cancela.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)

configure_file(packaging/systemd/cancela@.service.in
  ${PROJECT_BINARY_DIR}/generated/cancela@.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/cancela@.service packaging/systemd/cancela@.socket
  DESTINATION lib/systemd/system)
